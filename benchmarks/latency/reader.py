"""Notes when each output was handed over, in a process of its own: ``python -m benchmarks.latency.reader READ.json``.

It reads committed records only, as a subscriber of an exactly-once job must, for every system alike. How many it has
stands in a file all the time; SIGTERM makes it write what it has noted, and end.
"""

from __future__ import annotations

import gc
import json
import mmap
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from benchmarks.latency.notes import Notes

_COUNT_BYTES = 8
_AT_ONCE = 2_000


@dataclass(frozen=True)
class Read:
    """What one reader process does: the topic it reads, where its count and, at the end, its notes go."""

    bootstrap: str
    topic: str
    partitions: int
    count: str
    notes: str

    def write(self, path: Path) -> Path:
        """Write it as the file that the process is started with, and the count, which is 0."""
        Path(self.count).write_bytes(bytes(_COUNT_BYTES))
        path.write_text(json.dumps(asdict(self)))
        return path


def read_count(path: Path) -> int:
    """Return how many outputs the reader has had so far."""
    return int.from_bytes(path.read_bytes(), sys.byteorder)


def run(read: Read, stopping: list[int]) -> Notes:
    """Read until ``stopping`` has something in it."""
    consumer, notes = _consumer(read), Notes()
    with _shared(Path(read.count)) as count:
        while not stopping:
            first = consumer.poll(0.05)
            now = time.monotonic_ns()
            if first is None:
                continue
            _add_all(notes, [first], now)
            # What has come with it is handed over at once; nothing is waited for.
            _add_all(notes, consumer.consume(_AT_ONCE, 0), time.monotonic_ns())
            count[:] = len(notes.ids).to_bytes(_COUNT_BYTES, sys.byteorder)
    consumer.close()
    return notes


def _consumer(read: Read) -> Consumer:
    config = {
        "bootstrap.servers": read.bootstrap,
        "group.id": "benchmark-reader",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        # A drain outruns this process at times; the default then stops fetching for a second.
        "fetch.queue.backoff.ms": 5,
    }
    consumer = Consumer(config)
    consumer.assign([TopicPartition(read.topic, number, OFFSET_BEGINNING) for number in range(read.partitions)])
    return consumer


def _add_all(notes: Notes, messages: list[Message], now: int) -> None:
    for message in messages:
        if message.error() is None:
            notes.add(message.value(), now)


@contextmanager
def _shared(path: Path) -> Iterator[mmap.mmap]:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), _COUNT_BYTES) as shared:
        yield shared


def main(path: Path) -> None:
    """Do what the file says."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    gc.disable()  # nothing here makes cycles, and a collection would look like a late output
    read = Read(**json.loads(path.read_text()))
    run(read, stopping).save(Path(read.notes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
