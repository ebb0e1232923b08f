"""The independent reader: another client than the job's, committed records only, and the broker's own log files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from streaming.accounting.records import Place, ReadResult, Sent
from streaming.accounting.subscriber import Subscriber, results_of
from tests.support.eventually import eventually
from tests.support.traffic import described

_SETTLED_SECONDS = 90.0
"""Longer than the broker takes to end a transaction that nobody will end."""
_HEADER = struct.Struct(">qiibIhiqqqhii")
"""A record batch's header, version 2; see https://kafka.apache.org/documentation/#recordbatch."""
_CONTROL = 0x20
_ABORT = 0


class Reader:
    """Reads whole topics of one broker."""

    def __init__(self, servers: str) -> None:
        self._servers = servers

    def events(self, topic: str) -> dict[Place, Sent]:
        """Return the events that are on the input topic."""
        return {(r.partition, r.offset): described(dict(r.headers)) for r in self._records(topic)}

    def results(self, topic: str) -> list[ReadResult]:
        """Return the predictions, or the dead letters, that a subscriber sees."""
        return results_of(self._records(topic))

    def ledger(self, topic: str) -> list[dict[str, Any]]:
        """Return the ledger's records."""
        return [json.loads(record.value) for record in self._records(topic)]

    def settled(self, topic: str) -> bool:
        """Whether no transaction is open on the topic, so that a committed reader sees as far as there is."""
        ends = []
        for isolation in ("read_committed", "read_uncommitted"):
            with closing(Subscriber(self._servers, topic, isolation=isolation)) as subscriber:
                ends.append(subscriber.ends())
        return ends[0] == ends[1]

    def _records(self, topic: str) -> Iterator[Any]:
        eventually(lambda: self.settled(topic), timeout=_SETTLED_SECONDS, every=0.5)
        with closing(Subscriber(self._servers, topic)) as subscriber:
            yield from subscriber.to_the_end()


def aborted(data: Path, topics: Sequence[str]) -> int:
    """Count the abort markers that the broker wrote to ``topics``, in its log files below ``data``."""
    segments = [file for topic in topics for file in data.glob(f"**/{topic}-[0-9]*/*.log")]
    return sum(_abort_markers(file.read_bytes()) for file in segments)


def _abort_markers(log: bytes) -> int:
    """Count abort markers: control batches whose one record's key is version and type, two bytes each.

    The record is: length, attributes, two deltas, the key's length (each one byte here), then the key.
    """
    position = count = 0
    while position + _HEADER.size + 9 <= len(log):
        _, length, _, _, _, attributes, *_ = _HEADER.unpack_from(log, position)
        if length <= 0:  # the rest of the file is not written yet
            break
        if attributes & _CONTROL:
            count += struct.unpack_from(">hh", log, position + _HEADER.size + 5)[1] == _ABORT
        position += 12 + length
    return count
