"""The ledger in a Kafka topic, and with it the lease: whoever initialised the driver's transactional id last may write.

Kafka is the lease's compare-and-set. ``init_transactions`` fences every earlier holder of ``<application>.driver``, so
only one driver can append; the epoch it appends is one more than the highest it read. No clock takes part.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streaming.adapters.kafka_config import client_config
from streaming.clock import Clock, isoformat
from streaming.delivery.ledger import PartitionOutcome, Plan
from streaming.delivery.marks import Mark
from streaming.errors import BrokerUnavailableError, FencedError
from streaming.offsets import Ranges

_TIMEOUT = 30.0
_TAIL = 20_000
"""Records read first at opening; an application whose last record is older is looked for from the beginning."""
_REMEMBERED = 100


class KafkaLedger:
    """Implements :class:`streaming.delivery.ledger.Ledger` for one application and input topic."""

    def __init__(self, kafka: Mapping[str, str], topic: str, application: str, source: str, clock: Clock) -> None:
        self._config = client_config(kafka)
        self._topic = topic
        self._application = application
        self._source = source
        self._clock = clock
        self._epoch = 0
        self._plans: deque[Plan] = deque(maxlen=_REMEMBERED)
        self._producer: Producer | None = None
        self._group = Consumer({**self._config, "group.id": application, "enable.auto.commit": "false"})

    def open(self) -> int:
        """Take the lease; see :meth:`streaming.delivery.ledger.Ledger.open`.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        self._producer = self._fresh_producer()
        self._plans.clear()
        self._epoch = self._replay() + 1
        self._append({"type": "lease", "application": self._application, "epoch": self._epoch})
        return self._epoch

    def find(self, checkpoint: str, ranges: Ranges) -> Plan | None:
        """Return the latest plan that decides these ranges."""
        return next((plan for plan in reversed(self._plans) if plan.decides(checkpoint, ranges)), None)

    def recent(self) -> Sequence[Plan]:
        """Return the plans that are still remembered, oldest first."""
        return tuple(self._plans)

    def record_plan(self, plan: Plan) -> None:
        """Write a plan; raises ``FencedError`` when a younger driver has the lease."""
        self._append(plan.to_dict())
        self._plans.append(plan)

    def record_start(self, marks: Mapping[int, Mark]) -> None:
        """Write where partitions start that have no mark yet, and the marks themselves, in one transaction."""
        starts = {str(partition): mark.offset for partition, mark in marks.items()}
        topic_id = next((mark.topic_id for mark in marks.values()), "")
        where = {"application": self._application, "topic": self._source, "topic_id": topic_id}
        self._append({"type": "start", **where, "starts": starts}, self._positions(marks))

    def record_outcome(self, plan: Plan, outcome: Mapping[int, PartitionOutcome], marks: Mapping[int, Mark]) -> None:
        """Write what came of a plan, and the marks of partitions without rows, in one transaction."""
        partitions = {str(partition): asdict(result) for partition, result in outcome.items()}
        record = {"type": "outcome", "plan": plan.id, "application": plan.application, "partitions": partitions}
        self._append(record, self._positions(marks))

    def close(self) -> None:
        """Let go of the broker; the lease stays ours until another driver opens the ledger."""
        self._producer = None
        self._group.close()

    def _positions(self, marks: Mapping[int, Mark]) -> list[TopicPartition]:
        return [TopicPartition(self._source, p, mark.offset, mark.metadata) for p, mark in marks.items()]

    def _append(self, record: dict[str, Any], offsets: list[TopicPartition] | None = None) -> None:
        written = {**record, "at": record.get("at") or isoformat(self._clock())}
        try:
            self._transact(written, offsets or [])
        except KafkaException:
            # The client says no more than that this producer is of no use. Whether we are fenced or the broker was
            # away, the ledger itself tells: take the id again and see whether somebody opened it after us.
            self._producer = self._fresh_producer()
            latest = self._replay(remember=False)
            if latest > self._epoch:
                raise FencedError(
                    f"a driver of {self._application!r} with lease epoch {latest} has taken over from {self._epoch};"
                    " this one stops"
                ) from None
            self._transact(written, offsets or [])

    def _transact(self, record: dict[str, Any], offsets: list[TopicPartition]) -> None:
        producer = self._producer or self._fresh_producer()
        self._producer = producer
        producer.begin_transaction()
        producer.produce(self._topic, json.dumps(record, separators=(",", ":")), self._application)
        if offsets:
            producer.send_offsets_to_transaction(offsets, self._group.consumer_group_metadata(), _TIMEOUT)
        producer.commit_transaction(_TIMEOUT)

    def _fresh_producer(self) -> Producer:
        producer = Producer({**self._config, "transactional.id": f"{self._application}.driver", "linger.ms": "0"})
        try:
            producer.list_topics(self._topic, timeout=_TIMEOUT)
            producer.init_transactions(_TIMEOUT)
        except KafkaException as problem:
            raise BrokerUnavailableError(
                f"the ledger's topic {self._topic!r} cannot be written: {problem.args[0].str()}"
            ) from problem
        return producer

    def _replay(self, remember: bool = True) -> int:
        """Return the highest epoch in the ledger, 0 for a new application; remember its plans on the way."""
        group = {"group.id": f"{self._application}.ledger", "enable.auto.commit": "false"}
        reader = {**group, "isolation.level": "read_committed", "enable.partition.eof": "true"}
        with closing(Consumer({**self._config, **reader})) as consumer:
            part = TopicPartition(self._topic, 0)
            first, last = self._answered(lambda: consumer.get_watermark_offsets(part, timeout=_TIMEOUT))
            highest = 0
            for start in dict.fromkeys((max(first, last - _TAIL), first)):
                consumer.assign([TopicPartition(self._topic, 0, start)])
                highest = max((self._learn(r, remember) for r in self._until_end(consumer, last)), default=0)
                if highest:
                    break
            return highest

    def _until_end(self, consumer: Consumer, end: int) -> Iterator[dict[str, Any]]:
        while True:
            message = self._answered(lambda: consumer.poll(_TIMEOUT))
            if message is None:
                raise BrokerUnavailableError(f"the ledger {self._topic!r} does not answer within {_TIMEOUT:.0f} s")
            if message.error() is not None:  # the end of the partition
                return
            if message.key() == self._application.encode():
                yield json.loads(message.value())
            if message.offset() >= end:
                return

    def _learn(self, record: dict[str, Any], remember: bool) -> int:
        if record["type"] == "lease":
            return int(record["epoch"])
        if record["type"] == "plan":
            if remember:
                self._plans.append(Plan.from_dict(record))
            return int(record["plan"].partition(".")[0])
        return 0

    def _answered(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except KafkaException as problem:
            raise BrokerUnavailableError(f"the ledger's topic {self._topic!r}: {problem.args[0].str()}") from problem
