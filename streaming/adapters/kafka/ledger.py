"""The ledger in a Kafka topic. The driver that initialised the transactional id last may write.

Kafka is the lease's compare-and-set. ``init_transactions`` fences every earlier holder of ``<application>.driver``, so
only one driver can append; the epoch it appends is one more than the highest that the ledger and the marks know. No
clock takes part.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cachetools import LRUCache
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.progress import saved_marks
from streaming.adapters.kafka.refusals import Deliveries, opened, trouble
from streaming.clock import Clock, isoformat
from streaming.delivery.marks import Mark
from streaming.delivery.outcome import ArmOutcome
from streaming.delivery.progress import progress_record
from streaming.delivery.refusals import Rights, refusal
from streaming.delivery.transaction import FENCED
from streaming.errors import FencedError
from streaming.ledger.plan import MODELS_RECORD, PartitionOutcome, Plan
from streaming.offsets import Ranges
from streaming.outputs.targets import Target
from streaming.redaction import redact

_TIMEOUT = 30.0
_TRIES = 3
_TAIL = 20_000
"""Records read first at opening; an application whose last record is older is looked for from the beginning."""
_REMEMBERED = 100
_REMEMBERED_TABLES = 8


@dataclass(frozen=True)
class LedgerTopics:
    """The topics a driver writes to: the ledger, and the marks it sets in the same transactions."""

    ledger: str
    progress: Target


class KafkaLedger:
    """Implements :class:`streaming.ledger.plan.Ledger` for one application and input topic."""

    def __init__(
        self, kafka: Mapping[str, str], topics: LedgerTopics, application: str, source: str, clock: Clock
    ) -> None:
        self._kafka = kafka
        self._config = client_config(kafka)
        self._admin = KafkaAdmin(kafka, application)
        self._topic = topics.ledger
        self._progress = topics.progress
        self._log = KafkaLog(self._config, topics.ledger)
        self._application = application
        self._source = source
        self._clock = clock
        self._epoch = 0
        self._plans: deque[Plan] = deque(maxlen=_REMEMBERED)
        self._planned: set[int] = set()
        # A batch that is tried again names a recent table; older ones are read again if somebody asks for them.
        self._tables: LRUCache[int, Mapping[str, Any]] = LRUCache(_REMEMBERED_TABLES)
        self._producer: Producer | None = None
        self._appending = threading.Lock()
        self._group = Consumer({**self._config, "group.id": application, "enable.auto.commit": "false"})

    def open(self) -> int:
        """Take the lease; see :meth:`streaming.ledger.plan.Ledger.open`.

        Raises:
            BrokerUnavailableError: the broker does not answer.
            FencedError: others open it at the same time, again and again.
        """
        self._producer = self._fresh_producer()
        self._plans.clear()
        problem: KafkaException | None = None
        for _ in range(_TRIES):
            # After its retention the ledger may have forgotten every driver; the marks still know the last one. Another
            # driver may have opened it since the last try, with the epoch that was to be ours.
            self._epoch = (self._replay() or max((mark.epoch for mark in self._marks()), default=0)) + 1
            lease = {"type": "lease", "application": self._application, "epoch": self._epoch}
            with self._appending:
                problem = self._failure(self._stamped(lease), {})
            if problem is None:
                return self._epoch
        raise self._unwritten(problem)

    def _marks(self) -> list[Mark]:
        """Return every mark of ours on the input topic, from the group and from the progress topic."""
        saved = saved_marks(self._kafka, self._progress.topic, self._application, self._source)
        source = self._admin.required_topic(self._source)
        held = self._admin.marks(self._source, range(source.partitions))
        return [*saved.values(), *(mark for mark in held.values() if mark and mark.application == self._application)]

    def find(self, checkpoint: str, ranges: Ranges) -> Plan | None:
        """Return the latest plan that decides these ranges."""
        return next((plan for plan in reversed(self._plans) if plan.decides(checkpoint, ranges)), None)

    def recent(self) -> Sequence[Plan]:
        """Return the plans that are still remembered, oldest first."""
        return tuple(self._plans)

    def record_plan(self, plan: Plan) -> None:
        """Write a plan; raises ``FencedError`` when a younger driver has the lease."""
        self._append(plan.to_dict())
        self._note(plan)

    def planned(self) -> frozenset[int]:
        """Return the input topic's partitions of which a plan is known; reads the whole ledger before it says none."""
        if not self._planned:
            for record in self._read(0):
                self._learn(record, remember=False)
        return frozenset(self._planned)

    def record_start(self, marks: Mapping[int, Mark]) -> None:
        """Write where partitions start that have no mark yet, and the marks themselves, in one transaction."""
        starts = {str(partition): mark.offset for partition, mark in marks.items()}
        ids = {mark.topic_id for mark in marks.values()}
        where = {"topic": self._source, "topic_id": next(iter(ids), "")}
        self._append({"type": "start", "application": self._application, **where, "starts": starts}, marks)

    def record_outcome(
        self,
        plan: Plan,
        outcome: Mapping[int, PartitionOutcome],
        marks: Mapping[int, Mark],
        arms: Mapping[str, ArmOutcome] | None = None,
    ) -> None:
        """Write what came of a plan, and the marks of partitions without rows, in one transaction."""
        partitions = {str(partition): result.to_dict() for partition, result in outcome.items()}
        record = {"type": "outcome", "plan": plan.id, "application": plan.application, "partitions": partitions}
        if arms is not None:
            record["arms"] = {role: asdict(counts) for role, counts in arms.items()}
        self._append(record, marks)

    def record_set_aside(self, location: str, reason: str) -> None:
        """Write that the checkpoint gives way to the marks; it also proves that the lease is still ours."""
        where = {"application": self._application, "topic": self._source, "checkpoint": redact(location)}
        self._append({"type": "set_aside", **where, "reason": reason})

    def record_rollout(self, record: Mapping[str, Any]) -> None:
        """Write a state of a rollout, from any thread; raises ``FencedError`` when a younger driver has the lease."""
        self._append(dict(record))

    def record_models(self, record: Mapping[str, Any]) -> None:
        """Write the rows of a table of models; raises ``FencedError`` when a younger driver has the lease."""
        self._append({"type": MODELS_RECORD, "application": self._application, **record})
        self._tables[record["table"]] = record

    def models(self, table: int) -> Mapping[str, Any] | None:
        """Return the record of a table of models; reads the whole ledger before it says that there is none."""
        if table not in self._tables:
            for record in self._read(0):
                self._learn(record, remember=False)
        return self._tables.get(table)

    def close(self) -> None:
        """Let go of the broker; the lease stays ours until another driver opens the ledger."""
        self._producer = None
        self._group.close()

    def _append(self, record: dict[str, Any], marks: Mapping[int, Mark] | None = None) -> None:
        # A rollout is followed beside the batches, and a producer has one transaction at a time.
        with self._appending:
            self._append_alone(record, marks)

    def _append_alone(self, record: dict[str, Any], marks: Mapping[int, Mark] | None) -> None:
        written, problem = self._stamped(record), None
        for _ in range(_TRIES):
            problem = self._failure(written, marks or {})
            if problem is None:
                return
            # Whether we are fenced or the broker was away, the ledger itself tells: did somebody open it after us?
            latest = self._replay(remember=False)
            if latest > self._epoch:
                raise FencedError(
                    f"a driver of {self._application!r} with lease epoch {latest} has taken over from {self._epoch};"
                    " this one stops"
                )
        raise self._unwritten(problem)

    def _stamped(self, record: Mapping[str, Any]) -> dict[str, Any]:
        written = {**record, "at": record.get("at") or isoformat(self._clock())}
        if "reason" in written:  # the rest is read back by programs, and an application may be called like a password
            written["reason"] = redact(written["reason"])
        return written

    def _failure(self, record: dict[str, Any], marks: Mapping[int, Mark]) -> KafkaException | None:
        """Write once; return why that failed, after which we have the id again, and whoever had it is fenced."""
        try:
            self._transact(record, marks)
        except KafkaException as problem:
            if refused := refusal(problem.args[0], self._config, self._rights):
                raise refused from problem
            # The client says no more than that this producer is of no use.
            self._producer = self._fresh_producer()
            return problem
        return None

    def _unwritten(self, problem: KafkaException | None) -> Exception:
        """Return what to raise after the last try."""
        if problem is None or problem.args[0].code() in FENCED:
            return FencedError(
                f"other drivers of {self._application!r} open its ledger over and over; let one of them run, and"
                " find out who starts them"
            )
        return trouble(problem, self._config, self._rights, f"the ledger's topic {self._topic!r} cannot be written")

    def _transact(self, record: dict[str, Any], marks: Mapping[int, Mark]) -> None:
        producer = self._producer or self._fresh_producer()
        self._producer = producer
        sent = Deliveries()
        producer.begin_transaction()
        producer.produce(self._topic, json.dumps(record, separators=(",", ":")), self._application, on_delivery=sent)
        for partition, mark in marks.items():
            key, value = progress_record(mark, self._source, partition)
            onto = partition % self._progress.partitions
            producer.produce(self._progress.topic, value, key, onto, on_delivery=sent)
        with sent.explained():
            if marks:
                offsets = [TopicPartition(self._source, p, mark.offset, mark.metadata) for p, mark in marks.items()]
                producer.send_offsets_to_transaction(offsets, self._group.consumer_group_metadata(), _TIMEOUT)
            producer.commit_transaction(_TIMEOUT)

    def _fresh_producer(self) -> Producer:
        own = {**self._config, "transactional.id": f"{self._application}.driver", "linger.ms": "0"}
        producer = opened(Producer, own)
        try:
            producer.list_topics(self._topic, timeout=_TIMEOUT)
            producer.init_transactions(_TIMEOUT)
        except KafkaException as problem:
            failed = f"the ledger's topic {self._topic!r} cannot be written"
            raise trouble(problem, self._config, self._rights, failed) from problem
        return producer

    @property
    def _rights(self) -> Rights:
        return Rights(
            topic=f"WRITE on topics {self._topic} and {self._progress.topic}, and READ on topic {self._source}",
            group=f"READ on group {self._application}",
            transactional_id=f"WRITE and DESCRIBE on transactional id {self._application}.driver",
        )

    def _replay(self, remember: bool = True) -> int:
        """Return the highest epoch in the ledger, 0 for a new application; remember its plans on the way."""
        first, end = self._log.bounds()[0]
        for start in dict.fromkeys((max(first, end - _TAIL), first)):
            highest = max((self._learn(record, remember) for record in self._read(start)), default=0)
            if highest:
                return highest
        return 0

    def _read(self, start: int) -> Iterator[dict[str, Any]]:
        for message in self._log.read({0: start}):
            if message.key() == self._application.encode():
                yield json.loads(message.value() or b"")

    def _learn(self, record: dict[str, Any], remember: bool) -> int:
        if record["type"] == "lease":
            return int(record["epoch"])
        if record["type"] == MODELS_RECORD:
            self._tables[record["table"]] = record
        if record["type"] == "plan":
            self._note(Plan.from_dict(record), remember)
            return int(record["plan"].partition(".")[0])
        return 0

    def _note(self, plan: Plan, remember: bool = True) -> None:
        if plan.topic == self._source:
            self._planned.update(plan.ranges)
        if remember:
            self._plans.append(plan)
