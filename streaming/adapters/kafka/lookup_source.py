"""The lookup table's topic: where it ends now, and its records from one offset to another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streaming.adapters.kafka.config import client_config
from streaming.errors import LookupUnavailableError
from streaming.lookup.table_source import TableChunk, TableRecord
from streaming.lookup_state import LookupState

_ANSWER_SECONDS = 5.0
"""The longest that a batch waits to hear where the table ends."""
_RECORDS_AT_ONCE = 10_000
_POLL_SECONDS = 0.2


class KafkaTableState:
    """Says where the table ends now. Called with every batch, it takes a few milliseconds."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        """Connect; nothing is asked yet."""
        self._admin = AdminClient({**client_config(kafka)})
        self._topic = topic

    def __call__(self) -> LookupState:
        """Return the state of all that is committed.

        Raises:
            LookupUnavailableError: the broker does not answer, refuses us, or has no such topic.
        """
        try:
            asked = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=_ANSWER_SECONDS)
            described = asked[self._topic].result(timeout=_ANSWER_SECONDS)
            parts = {TopicPartition(self._topic, p): OffsetSpec.latest() for p in range(len(described.partitions))}
            # What is behind an open transaction may be aborted, and no reader would ever come to it.
            listed = self._admin.list_offsets(
                parts, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ANSWER_SECONDS
            )
            ends = {part.partition: future.result(timeout=_ANSWER_SECONDS).offset for part, future in listed.items()}
        except (KafkaException, TimeoutError) as problem:
            raise _unavailable(self._topic, problem) from problem
        return LookupState(str(described.topic_id), tuple(ends[p] for p in range(len(ends))), 0)


@dataclass(frozen=True)
class KafkaTableSource:
    """A :class:`streaming.lookup.table_source.TableSource`; it is pickled for the tasks.

    Attributes:
        client: librdkafka's configuration, which may hold secrets.
        topic: the table's.
    """

    client: Mapping[str, str] = field(repr=False)
    topic: str

    def chunk(self, positions: Sequence[int], ends: Sequence[int], seconds: float) -> TableChunk:
        """See :meth:`streaming.lookup.table_source.TableSource.chunk`."""
        reader = _reader(self)
        try:
            return reader.chunk(positions, ends, seconds)
        except KafkaException as problem:
            raise _unavailable(self.topic, problem) from problem


class TopicReader:
    """This process's consumer of the topic. It stays connected, and goes on where it was if nobody else read on."""

    def __init__(self, source: KafkaTableSource) -> None:
        own = {
            "group.id": f"{source.topic}.lookup",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": "10",
        }
        self._topic = source.topic
        self._consumer = Consumer({**source.client, **own})
        self._positions: list[int] = []

    def chunk(self, positions: Sequence[int], ends: Sequence[int], seconds: float) -> TableChunk:
        """Read until there is something, everything is read, or the time is over."""
        if list(positions) != self._positions:
            # The first time, or another process of this machine has read on.
            self._consumer.assign([TopicPartition(self._topic, p, at) for p, at in enumerate(positions)])
            self._positions = list(positions)
        deadline = time.monotonic() + seconds
        records: list[TableRecord] = []
        while not records and time.monotonic() < deadline and any(map(lt, self._positions, ends)):
            first = self._consumer.poll(_POLL_SECONDS)
            if first is not None:
                records = list(self._taken([first, *self._consumer.consume(_RECORDS_AT_ONCE, 0)]))
        return TableChunk(records, tuple(self._positions))

    def _taken(self, messages: Sequence[Any]) -> Iterator[TableRecord]:
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is None:
                self._positions[partition] = offset + 1
                # Nobody can look up a record without a key.
                if message.key() is not None:
                    yield TableRecord(partition, offset, message.timestamp()[1], message.key(), message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                # Behind the last record there may be marks of transactions, and what compaction has removed.
                self._positions[partition] = max(self._positions[partition], offset)
            elif not error.retriable():
                raise KafkaException(error)


_readers: dict[str, tuple[KafkaTableSource, TopicReader]] = {}


def _reader(source: KafkaTableSource) -> TopicReader:
    reading = _readers.get(source.topic)
    if reading is None or reading[0] != source:
        _readers[source.topic] = reading = source, TopicReader(source)
    return reading[1]


def _unavailable(topic: str, problem: Exception) -> LookupUnavailableError:
    detail = problem.args[0].str() if isinstance(problem, KafkaException) else str(problem) or "no answer in time"
    return LookupUnavailableError(f"the lookup table's topic {topic!r} cannot be read: {detail}")
