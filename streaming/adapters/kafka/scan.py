"""Reading a topic's committed records by position, for people's questions: it joins no group and commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.patience import settled
from streaming.adapters.kafka.refusals import Complaints, in_turns, opened, trouble
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import BrokerUnavailableError
from streaming.outputs.read_back import Stored

_TIMEOUT = 15.0


def stored(message: Any) -> Stored:
    """Return a client's message as what is stored on its topic."""
    position = message.topic(), message.partition(), message.offset()
    return Stored(*position, message.headers() or (), message.value())


class KafkaScan:
    """One client's view of a broker. Every method raises ``BrokerUnavailableError`` when the broker does not answer.

    ``ConfigurationError`` is raised where it refuses us or a right.
    """

    def __init__(self, kafka: Mapping[str, str], application: str) -> None:
        own = {"group.id": f"{application}.scan", "enable.auto.commit": "false", "enable.partition.eof": "true"}
        # At a partition's end the broker holds a fetch for half a second by default, and the next question behind it.
        quick = {"isolation.level": "read_committed", "fetch.wait.max.ms": "10"}
        self._kafka = dict(kafka)
        self._complaints = Complaints(kafka)
        self._group = own["group.id"]
        self._consumer = opened(Consumer, self._complaints.settings({**client_config(kafka), **own, **quick}))

    def __enter__(self) -> KafkaScan:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def partitions(self, topic: str) -> int:
        """Return the topic's number of partitions, 0 where there is no such topic."""
        listed = self._answered(lambda: self._listed(topic), topic).topics[topic]
        if listed.error is not None and (refused := refusal(listed.error, self._kafka, self._rights(topic))):
            raise refused
        return len(listed.partitions)

    def _listed(self, topic: str) -> Any:
        return in_turns(lambda turn: self._consumer.list_topics(topic, timeout=turn), self._hear, _TIMEOUT)

    def _hear(self) -> None:
        self._consumer.poll(0)
        self._complaints.check()

    def extent(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset that is still there, and the one after the last that is committed."""
        part = TopicPartition(topic, partition)
        first, end = self._answered(lambda: self._consumer.get_watermark_offsets(part, timeout=_TIMEOUT), topic)
        return int(first), int(end)

    def offset_at(self, topic: str, partition: int, milliseconds: int) -> int:
        """Return the first offset whose timestamp is at or after a time since 1970, or the end if there is none."""
        asked = [TopicPartition(topic, partition, milliseconds)]
        offset = self._answered(lambda: self._consumer.offsets_for_times(asked, timeout=_TIMEOUT), topic)[0].offset
        # Kafka answers -1 where no record is as young.
        return int(offset) if offset >= 0 else self.extent(topic, partition)[1]

    def timestamp(self, topic: str, partition: int, offset: int) -> int | None:
        """Return a record's time in milliseconds since 1970, ``None`` where no record has this offset (any more)."""
        message = next(self.messages(topic, partition, offset, offset + 1), None)
        return max(0, int(message.timestamp()[1])) if message is not None else None

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Stored]:
        """Return the records from ``start`` up to but not including ``end``."""
        return map(stored, self.messages(topic, partition, start, end))

    def keyed(self, topic: str, key: str, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield offset and value of the first partition's records with one key."""
        for message in self.messages(topic, 0, start, end):
            value = message.value()
            if message.key() == key.encode() and value is not None:
                yield message.offset(), value

    def messages(self, topic: str, partition: int, start: int, end: int) -> Iterator[Any]:
        """Yield the committed messages from ``start`` up to but not including ``end``, or what is there of them."""
        first, last = self.extent(topic, partition)
        start, end = max(start, first), min(end, last)
        if start >= end:
            return
        self._consumer.assign([TopicPartition(topic, partition, start)])
        while True:
            message = self._answered(lambda: self._consumer.poll(_TIMEOUT), topic)
            if message is None:
                self._complaints.check()
                raise BrokerUnavailableError(f"topic {topic!r} does not answer within {_TIMEOUT:.0f} s")
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                failed = f"topic {topic!r} cannot be read"
                raise trouble(KafkaException(error), self._kafka, self._rights(topic), failed)
            # Transactions' marks and compaction leave offsets without a record, so the last one may not come.
            if error is not None or message.offset() >= end:
                return
            yield message
            if message.offset() == end - 1:
                return

    def _answered(self, call: Callable[[], Any], topic: str) -> Any:
        try:
            return settled(call)
        except KafkaException as problem:
            self._hear()
            failed = (
                f"topic {topic!r} of Kafka at {self._kafka.get('bootstrap.servers')} cannot be read; check"
                f" kafka.bootstrap.servers and that the broker runs{self._complaints.reason}"
            )
            raise trouble(problem, self._kafka, self._rights(topic), failed) from problem

    def _rights(self, topic: str) -> Rights:
        return Rights(topic=f"READ on topic {topic}", group=f"READ on group {self._group}")
