"""The independent reader: another client than the job's, committed records only, and the broker's own log files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from schemas.dead_letter import ERROR_OFFSET, ERROR_PARTITION
from schemas.dead_letter import MODEL_VERSION as LETTER_VERSION
from schemas.prediction import MODEL_VERSION, SOURCE_OFFSET, SOURCE_PARTITION
from tests.chaos.checker import Answer, Place, Sent
from tests.chaos.events import described
from tests.support.eventually import eventually

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

    def predictions(self, topic: str) -> list[Answer]:
        """Return the predictions that a subscriber sees."""
        return [self._answer(r, SOURCE_PARTITION, SOURCE_OFFSET, MODEL_VERSION) for r in self._records(topic)]

    def dead_letters(self, topic: str) -> list[Answer]:
        """Return the dead letters that a subscriber sees."""
        return [self._answer(r, ERROR_PARTITION, ERROR_OFFSET, LETTER_VERSION) for r in self._records(topic)]

    def ledger(self, topic: str) -> list[dict[str, Any]]:
        """Return the ledger's records."""
        return [json.loads(record.value) for record in self._records(topic)]

    def settled(self, topic: str) -> bool:
        """Whether no transaction is open on the topic, so that a committed reader sees as far as there is."""
        ends = []
        for isolation in ("read_committed", "read_uncommitted"):
            with closing(self._consumer(isolation)) as consumer:
                ends.append(consumer.end_offsets(_partitions(consumer, topic)))
        return bool(ends[0] == ends[1])

    def _answer(self, record: Any, partition: str, offset: str, version: str) -> Answer:
        headers = dict(record.headers)
        place = int(headers[partition]), int(headers[offset])
        value = json.loads(record.value) if partition == SOURCE_PARTITION else None
        return Answer(place, (record.partition, record.offset), record.key.decode(), int(headers[version]), value)

    def _records(self, topic: str) -> Iterator[Any]:
        eventually(lambda: self.settled(topic), timeout=_SETTLED_SECONDS, every=0.5)
        with closing(self._consumer("read_committed")) as consumer:
            parts = _partitions(consumer, topic)
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            ends = consumer.end_offsets(parts)
            # Beyond the last record there may be markers, which a consumer passes without showing them.
            while any(consumer.position(part) < end for part, end in ends.items()):
                for batch in consumer.poll(timeout_ms=200, max_records=10_000).values():
                    yield from batch

    def _consumer(self, isolation: str) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self._servers, isolation_level=isolation, enable_auto_commit=False, group_id=None
        )


def _partitions(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


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
