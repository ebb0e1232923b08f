"""Requests at a fixed rate, whether the server keeps up or not, from a process of its own.

``python -m benchmarks.serve.load ORDER.json`` reads a :class:`LoadOrder` and prints a :class:`LoadFigures` as JSON. A
request is timed from the moment at which it was due, so one that waits behind a slow one counts as slow, too.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

MOST_P99_MS = 5.0
_TICK = 0.0005
_PATIENCE = 10.0
"""Seconds from the last due request to the last answer that is waited for."""
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_VERSION = re.compile(rb"penstock-model-version: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class LoadOrder:
    """What to send.

    Attributes:
        bodies: a file with a request's JSON on each line; they are sent in turn.
        rate: requests a second, for ``seconds``.
        connections: at most so many requests are under way; others wait, and are timed while they do.
    """

    port: int
    path: str
    bodies: str
    rate: float
    seconds: float
    connections: int = 64


@dataclass(frozen=True)
class LoadFigures:
    """What came of it: times in milliseconds, and how many answers named each version of the model.

    ``cpu_us`` is the server's processor time for a request, which others on the machine change little.
    """

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    versions: dict[str, int] = field(default_factory=dict)
    cpu_us: float | None = None


def sustained(measured: LoadFigures) -> bool:
    """Return whether a rate was served without an error and within :data:`MOST_P99_MS`."""
    return not measured.errors and measured.p99_ms < MOST_P99_MS


class _Connection(asyncio.Protocol):
    """One connection, on which one request at a time is under way."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._due = 0.0
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._load.free.append(self)

    def send(self, due: float, request: bytes) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = _HEAD.match(self._buffer)
        if head is None:
            return
        length = _LENGTH.search(head[2])
        if length is None or len(self._buffer) < head.end() + int(length[1]):
            return
        version = _VERSION.search(head[2])
        self._load.answered(time.perf_counter() - self._due, int(head[1]), version[1].decode() if version else "")
        self._buffer.clear()
        self._load.free.append(self)


class _Load:
    def __init__(self) -> None:
        self.free: deque[_Connection] = deque()
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()

    def answered(self, seconds: float, status: int, version: str) -> None:
        self.times.append(seconds)
        self.statuses[status] += 1
        self.versions[version] += 1


async def measure(order: LoadOrder) -> LoadFigures:
    """Send, and return what came of it."""
    load, loop = _Load(), asyncio.get_running_loop()
    connections = [
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", order.port)
        for _ in range(order.connections)
    ]
    requests = [_request(order, body) for body in Path(order.bodies).read_bytes().splitlines()]
    count, number, start = max(1, round(order.rate * order.seconds)), 0, time.perf_counter()
    while number < count or len(load.times) < count:
        now = time.perf_counter() - start
        while number < count and load.free and number / order.rate <= now:
            load.free.popleft().send(start + number / order.rate, requests[number % len(requests)])
            number += 1
        if now > order.seconds + _PATIENCE:
            break
        await asyncio.sleep(_TICK)
    seconds = time.perf_counter() - start
    for transport, _ in connections:
        transport.close()
    # A transport closes in the loop's next turn.
    await asyncio.sleep(0)
    return _measured(load, count, seconds)


def _request(order: LoadOrder, body: bytes) -> bytes:
    head = f"POST {order.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _measured(load: _Load, count: int, seconds: float) -> LoadFigures:
    # What was not answered took longer than anything else.
    times = np.sort([*load.times, *[np.inf] * (count - len(load.times))]) * 1_000
    p50, p99 = (float(np.quantile(times, share, method="higher")) for share in (0.5, 0.99))
    return LoadFigures(
        requests=count,
        rps=round(len(load.times) / seconds, 1),
        p50_ms=round(p50, 3),
        p99_ms=round(p99, 3),
        max_ms=round(float(times[-1]), 3),
        errors=count - load.statuses[200],
        versions={version: times_seen for version, times_seen in load.versions.items() if version},
    )


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(measure(LoadOrder(**json.loads(Path(sys.argv[1]).read_text())))))))
