"""Reading a topic from somewhere to its present end, and not less.

A committed reader goes no further than the first transaction that is still open, whoever opened it. What lies behind it
may be committed already: to stop there would take an older record for the newest. So the end is the log's own, and the
reader waits until what is open below it is committed or aborted, at the latest by the transaction's time limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streaming.adapters.kafka.patience import settled
from streaming.adapters.kafka.refusals import Complaints, in_turns, opened, trouble
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import BrokerUnavailableError

Bounds = dict[int, tuple[int, int]]
"""Partition to its first offset and its end."""
_TIMEOUT = 30.0
_PATIENCE = 90.0
"""Seconds without a record before it is given up: longer than a transaction may be open by default."""


class KafkaLog:
    """One topic. ``client`` is librdkafka's configuration; no group is joined and no offset committed."""

    def __init__(self, client: Mapping[str, str], topic: str) -> None:
        self._client = {**client, "group.id": f"{topic}.log", "enable.auto.commit": "false"}
        self._topic = topic
        self._complaints = Complaints(client)
        self._rights = Rights(topic=f"READ on topic {topic}", group=f"READ on group {topic}.log")

    def bounds(self) -> Bounds:
        """Return each partition's first offset and its end, counting what is not committed yet."""
        with closing(self._consumer({"isolation.level": "read_uncommitted"})) as consumer:
            listed = self._answered(consumer, lambda: self._listed(consumer))
            described = listed.topics[self._topic]
            if described.error is not None and (refused := refusal(described.error, self._client, self._rights)):
                raise refused
            return {p: self._bounds(consumer, p) for p in described.partitions}

    def read(self, starts: Mapping[int, int] | None = None, bounds: Bounds | None = None) -> Iterator[Message]:
        """Yield the committed records up to the end as it is now.

        Args:
            starts: the offsets to begin at; a partition that is left out begins at 0.
            bounds: what :meth:`bounds` has returned, for who has asked already.

        Raises:
            ConfigurationError: the broker refuses us, or the right to read.
            BrokerUnavailableError: the broker does not answer, or a transaction stays open.
        """
        bounds = self.bounds() if bounds is None else bounds
        firsts = {p: max(first, (starts or {}).get(p, first)) for p, (first, _) in bounds.items()}
        ends = {p: end for p, (_, end) in bounds.items() if firsts[p] < end}
        # Where the oldest records are deleted meanwhile, the next ones are the beginning.
        own = {"isolation.level": "read_committed", "enable.partition.eof": "true", "auto.offset.reset": "earliest"}
        with closing(self._consumer(own)) as consumer:
            consumer.assign([TopicPartition(self._topic, p, firsts[p]) for p in ends])
            yield from self._until(consumer, ends)

    def _until(self, consumer: Consumer, ends: dict[int, int]) -> Iterator[Message]:
        heard = time.monotonic()
        while ends:
            message = self._answered(consumer, lambda: consumer.poll(1.0))
            if message is None:
                self._complaints.check()
                if time.monotonic() - heard > _PATIENCE:
                    raise BrokerUnavailableError(
                        f"topic {self._topic!r} cannot be read to its end: the broker has been silent, or a transaction"
                        f" open, for {_PATIENCE:.0f} s"
                    )
                continue
            heard = time.monotonic()
            partition, read = message.partition(), 0
            if message.error() is None:
                yield message
                read = message.offset() + 1
            elif message.error().code() == KafkaError._PARTITION_EOF:
                read = message.offset()
            elif refused := refusal(message.error(), self._client, self._rights):
                raise refused
            if read >= ends.get(partition, read + 1):
                del ends[partition]

    def _bounds(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        part = TopicPartition(self._topic, partition)
        first, end = self._answered(consumer, lambda: consumer.get_watermark_offsets(part, timeout=_TIMEOUT))
        return int(first), int(end)

    def _consumer(self, own: Mapping[str, str]) -> Consumer:
        return opened(Consumer, self._complaints.settings({**self._client, **own}))

    def _listed(self, consumer: Consumer) -> Any:
        def hear() -> None:
            consumer.poll(0)
            self._complaints.check()

        return in_turns(lambda turn: consumer.list_topics(self._topic, timeout=turn), hear, _TIMEOUT)

    def _answered(self, consumer: Consumer, call: Callable[[], Any]) -> Any:
        try:
            return settled(call)
        except KafkaException as problem:
            consumer.poll(0)  # lets the client tell what it knows
            self._complaints.check()
            failed = (
                f"topic {self._topic!r} of Kafka at {self._client.get('bootstrap.servers')} cannot be read; check"
                " kafka.bootstrap.servers and that the broker runs"
            )
            raise trouble(problem, self._client, self._rights, failed) from problem
