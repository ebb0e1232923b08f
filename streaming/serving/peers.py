"""Several processes behind one port as one server: whichever is asked speaks for all.

Each process answers the others on a Unix socket of its own, in a folder that only their user can enter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

_SECONDS = 2.0
"""The time that a process has to answer another one."""


@dataclass(frozen=True)
class Peers:
    """The processes of a server; ``number`` is this one's, and ``folder`` has everyone's socket."""

    folder: Path
    number: int

    @property
    def own_socket(self) -> Path:
        """The path of the socket at which this process answers the others."""
        return self.folder / f"{self.number}.sock"

    async def ask(self, method: str, path: str) -> dict[int, bytes]:
        """Return what the other processes answer, by their numbers; who does not answer in time is left out."""
        others = {int(socket.stem): socket for socket in self.folder.glob("*.sock") if socket != self.own_socket}
        answers = await asyncio.gather(*(_ask(socket, method, path) for socket in others.values()))
        return {number: answer for number, answer in zip(others, answers, strict=True) if answer is not None}


async def _ask(socket: Path, method: str, path: str) -> bytes | None:
    transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://peer", timeout=_SECONDS) as client:
            answer = await client.request(method, path)
    except httpx.TransportError:
        return None
    return answer.content if answer.is_success else None


def merged_metrics(texts: Mapping[int, bytes]) -> bytes:
    """Return Prometheus' text of several processes as one, each series with the label ``process``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(texts))
    return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class _Merged:
    """A collector of what processes have written."""

    texts: Mapping[int, bytes]

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number, text in sorted(self.texts.items()):
            process = {"process": str(number)}
            for family in text_string_to_metric_families(text.decode()):
                own = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    own.add_sample(sample.name, {**sample.labels, **process}, sample.value)
        yield from families.values()
