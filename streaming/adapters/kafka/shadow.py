"""A shadow's own place on Kafka: what was answered from where it left off, and pairs written with that position.

Pairs and position are one transaction of the producer ``<application>.shadow``, whose start fences an earlier shadow
and settles what that had under way. So a shadow that was killed anywhere goes on without a pair twice or missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.patience import settled
from streaming.adapters.kafka.refusals import Complaints, Deliveries, opened, sending
from streaming.delivery.producers import enqueue, patiently
from streaming.delivery.refusals import Rights
from streaming.errors import BrokerUnavailableError
from streaming.outputs.records import RECORD_OVERHEAD
from streaming.outputs.targets import Target
from streaming.shadow.rounds import OutputPartition, PairedRecord, Positions, ServedChunk
from streaming.shadow.served import ServedReader

_TIMEOUT = 30.0
_PATIENCE = 90.0
"""Seconds without a record below the end before it is given up: longer than a transaction may be open by default."""
_SELDOM = 10_000
"""Records that are passed over before the position is committed for their sake alone."""
_SENDER = {"transaction.timeout.ms": "30000", "compression.type": "lz4", "linger.ms": "5"}
_READER = {
    "enable.auto.commit": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "queued.max.messages.kbytes": "16384",
}


class KafkaShadow:
    """Reads outputs, and implements :class:`streaming.shadow.rounds.ShadowSink`; made by :func:`kafka_shadow`."""

    def __init__(self, consumer: Consumer, producer: Producer, topics: Sequence[str], to: Target) -> None:
        self._consumer = consumer
        self._producer = producer
        self._topics = topics
        self._to = to
        self._positions: dict[OutputPartition, int] = {}
        self._passed_over = 0
        self._heard = time.monotonic()

    def begin(self, partitions: Iterable[OutputPartition]) -> None:
        """Take over from an earlier shadow, and begin where it was."""
        self._producer.init_transactions(_TIMEOUT)
        asked = [TopicPartition(*partition) for partition in partitions]
        # Only now is it known how far the one before has come.
        committed = settled(lambda: self._consumer.committed(asked, timeout=_TIMEOUT))
        for part in committed:
            if part.error is not None:
                raise KafkaException(part.error)
        self._positions = {(part.topic, part.partition): part.offset for part in committed if part.offset >= 0}
        self._consumer.assign([TopicPartition(part.topic, part.partition, max(part.offset, 0)) for part in committed])

    def read(self, reader: ServedReader, most: int, seconds: float) -> ServedChunk | None:
        """Return up to ``most`` records, after up to ``seconds`` if there are none; ``None`` if none is a rollout's."""
        first = self._consumer.poll(seconds)
        if first is None:
            return None
        taken = [self._passed(message) for message in (first, *self._consumer.consume(most - 1, 0.0))]
        answers = [
            served
            for message in taken
            if message is not None
            and (served := reader.read(message.key(), message.headers() or (), message.value())) is not None
        ]
        self._heard = time.monotonic()
        self._passed_over += len(taken)
        is_due = bool(answers) or self._passed_over >= _SELDOM
        return ServedChunk(answers, dict(self._positions)) if is_due else None

    def has_reached(self, ends: Positions) -> bool:
        """Return whether everything below these ends has been read; raises ``BrokerUnavailableError`` if it stalls."""
        if all(self._positions.get(partition, 0) >= end for partition, end in ends.items()):
            return True
        if time.monotonic() - self._heard > _PATIENCE:
            raise BrokerUnavailableError(
                f"{' and '.join(self._topics)} cannot be read to the end: the broker has been silent, or a transaction"
                f" open, for {_PATIENCE:.0f} s"
            )
        return False

    def write(self, records: Sequence[PairedRecord], positions: Positions) -> Sequence[PairedRecord]:
        """See :class:`streaming.shadow.rounds.ShadowSink`."""
        sent, written = Deliveries(), []
        self._producer.begin_transaction()
        for record in records:
            value = record.pair.to_json()
            if len(value) + len(record.key or b"") + RECORD_OVERHEAD <= self._to.max_record_bytes:
                to = self._to.topic, value, record.key, record.partition % self._to.partitions
                enqueue(self._producer, partial(self._producer.produce, *to, on_delivery=sent))
                written.append(record)
        moved = [TopicPartition(*partition, at) for partition, at in positions.items()]
        group = self._consumer.consumer_group_metadata()
        patiently(lambda: self._producer.send_offsets_to_transaction(moved, group, _TIMEOUT))
        with sent.explained():
            patiently(lambda: self._producer.commit_transaction(_TIMEOUT))
        self._passed_over = 0
        return written

    def _passed(self, message: Message) -> Any:
        """Note how far a partition is read; return the message unless it only tells that."""
        error, offset = message.error(), message.offset() or 0
        partition = message.topic() or "", message.partition() or 0
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        self._positions[partition] = offset if error is not None else offset + 1
        return None if error is not None else message


@contextmanager
def kafka_shadow(
    kafka: Mapping[str, str], application: str, topics: Sequence[str], to: Target
) -> Iterator[KafkaShadow]:
    """Yield the shadow's place, which begins where an earlier shadow of this application has committed.

    Args:
        kafka: Kafka's settings.
        application: whose shadow it is.
        topics: those of predictions and dead letters.
        to: the shadow topic.

    Raises:
        FencedError: another shadow of this application has begun.
        ConfigurationError: the broker refuses a right.
        BrokerUnavailableError: the broker does not answer.
    """
    name = f"{application}.shadow"
    config, complaints = client_config(kafka), Complaints(kafka)
    rights = Rights(
        topic=f"READ on the topics {' and '.join(topics)}, and WRITE on topic {to.topic}",
        group=f"READ on group {name}",
        transactional_id=f"WRITE and DESCRIBE on transactional id {name}",
    )
    # By default the client refuses what is a little smaller than the topic takes.
    own = {"transactional.id": name, "message.max.bytes": str(min(to.max_record_bytes, 1_000_000_000))}
    producer = opened(Producer, complaints.settings({**_SENDER, **config, **own}))
    consumer = opened(Consumer, complaints.settings({**config, **_READER, "group.id": name}))
    try:
        with sending(kafka, rights, "penstock shadow run"):
            shadow = KafkaShadow(consumer, producer, topics, to)
            shadow.begin(ends_of(kafka, topics))
            yield shadow
    except BaseException:
        # Without this every reader of committed records would wait for the time-out.
        with suppress(KafkaException):
            producer.abort_transaction(_TIMEOUT)
        raise
    finally:
        consumer.close()


def ends_of(kafka: Mapping[str, str], topics: Sequence[str]) -> dict[OutputPartition, int]:
    """Return the present end of each partition, counting what is not committed yet."""
    bounds = {topic: KafkaLog(client_config(kafka), topic).bounds() for topic in topics}
    return {(topic, partition): end for topic in topics for partition, (_, end) in bounds[topic].items()}
