"""A job's engine over a real broker and real queries, put together and run by the job's own wiring."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from confluent_kafka import Consumer, TopicPartition
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.wiring.planning import Planning, listener_for
from jobs.wiring.running import breaker_for, run_engine, taken_over
from jobs.wiring.starting import EngineParts, Footing, RolloutParts
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.clock import system_clock
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.engines.breaker import Bounds, Breaker
from streaming.engines.report import BatchReport
from streaming.engines.table_arms import NoFallback
from streaming.models.many_follower import ManyFollower
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.operations.metrics import FinishedBatch, Metrics
from streaming.operations.observer import JobObserver, QueryProgress
from streaming.rollout.records import Transition
from streaming.settings import Settings

NEVER = Breaker(Bounds(share=1.0, seconds=60, rows=1), system_clock)
"""A circuit breaker that does not trip."""


@dataclass
class Recorder:
    """Remembers what the job's observer is called with."""

    reports: list[BatchReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)
    progress: list[QueryProgress] = field(default_factory=list)
    rollouts: list[Transition] = field(default_factory=list)

    def rollout_moved(self, transition: Transition, serving: ServedModel | None) -> None:
        self.rollouts.append(transition)

    def rollout_seen(self, transition: Transition) -> None:
        """What an earlier driver wrote is not counted again."""

    def batch_finished(self, report: BatchReport) -> None:
        self.reports.append(report)


@dataclass(frozen=True)
class RecordedObserver(JobObserver):
    """The job's observer, whose calls a recorder has, too; ``started`` is called with every query."""

    recorder: Recorder = field(default_factory=Recorder)
    started: Callable[[], None] = lambda: None

    def query_started(self) -> None:
        super().query_started()
        self.started()

    def batch_finished(self, report: FinishedBatch) -> None:
        super().batch_finished(report)
        assert isinstance(report, BatchReport)
        self.recorder.batch_finished(report)

    def batch_failed(self, version: ModelVersion, problem: str) -> None:
        super().batch_failed(version, problem)
        self.recorder.failures.append(f"{version}: {problem}")

    def rows_searched(self, seconds: float) -> None:
        super().rows_searched(seconds)
        self.recorder.searches.append(seconds)

    def invariant_broken(self, rows_in: int, rows_out: int) -> None:
        super().invariant_broken(rows_in, rows_out)
        self.recorder.failures.append(f"{rows_in} in, {rows_out} out")

    def progressed(self, progress: QueryProgress) -> None:
        super().progressed(progress)
        self.recorder.progress.append(progress)


def _nothing() -> None:
    """Wait for nothing when a query has started."""


@dataclass
class Bench:
    """One application's topics and slot; ``run`` scores all there is and stops.

    It stands for what a job has before it holds the lease: the slot, and a follower that knows the versions in
    ``planned``. All else is the job's own.
    """

    spark: SparkSession
    servers: str
    topic: str
    home: Path
    application: str
    slot: Slot = field(default_factory=Slot)
    seen: Recorder = field(default_factory=Recorder)
    max_bytes: int = 1 << 26
    rows_per_batch: int = 10_000
    on_gap: str = "fail"
    kind: Literal["exact", "live"] = "exact"
    restarts: int = 0
    metrics: Metrics = field(default_factory=lambda: Metrics(system_clock, AGE_BOUNDS))
    planning: Planning = "kept"
    planned: dict[ModelKey, ServedModel] = field(default_factory=dict)
    arm: dict[str, Any] | None = None
    """The setting ``model.arm``."""
    models: dict[str, Any] = field(default_factory=dict)
    """The section ``models``; ``many`` then follows them."""
    many: ManyFollower | None = None
    fallback: dict[str, Any] = field(default_factory=dict)
    """The section ``fallback``."""
    lookup: dict[str, Any] = field(default_factory=dict)
    """The section ``lookup``."""
    recheck_one_in: int | None = None
    """The setting ``model.recheck_one_in``."""
    failpoints: Path | None = None
    breaker: Breaker | None = None
    """``None`` for the job's own, which does not trip here."""

    @property
    def kafka(self) -> dict[str, str]:
        return {"bootstrap.servers": self.servers}

    @property
    def settings(self) -> Settings:
        outputs = {name: f"{self.topic}.{name}" for name in ("ledger", "progress")}
        return Settings.model_validate(
            {
                "application": self.application,
                "kafka": self.kafka,
                "input": {"topic": self.topic, "max_rows_per_batch": self.rows_per_batch, "on_gap": self.on_gap},
                "output": {"predictions": f"{self.topic}.out", "model_events": f"{self.topic}.models", **outputs},
                "model": {
                    "name": "tiny",
                    "rollback_after_failures": 2,
                    "arm": self.arm,
                    "recheck_one_in": self.recheck_one_in,
                },
                "models": self.models,
                "fallback": self.fallback,
                "lookup": self.lookup,
                "engine": {
                    "kind": self.kind,
                    "plan": self.planning,
                    "checkpoint": str(self.home / "checkpoint"),
                    "checkpoint_seconds": 5.0,
                    "transaction_max_bytes": self.max_bytes,
                    "max_poison_rows": 10,
                    "max_bad_share": 1.0,
                    "restart_seconds": 0.1,
                    "max_restarts": self.restarts,
                    "failpoints": None if self.failpoints is None else str(self.failpoints),
                },
            }
        )

    def run(self) -> None:
        """Score all there is; what ends the job before that is raised."""
        stopping = threading.Event()

        def until_scored() -> None:
            # On the supervisor's thread, before it watches the query: so a failure is one of the query's.
            self.query().processAllAvailable()
            stopping.set()

        with self.leading(until_scored) as footing:
            run_engine(footing, self.parts(footing, stopping))

    @contextmanager
    def leading(self, started: Callable[[], None] = _nothing) -> Iterator[Footing]:
        """A new driver that has fenced all others; ``started`` is called whenever it has started a query."""
        settings, health = self.settings, Health(self.slot, system_clock)
        observer = RecordedObserver(self.metrics, health, recorder=self.seen, started=started)
        listener = listener_for(self.planning, self.application, observer)
        self.spark.streams.addListener(listener)
        try:
            with taken_over(settings, KafkaAdmin(self.kafka, self.application), self.spark, observer) as footing:
                yield footing
        finally:
            self.spark.streams.removeListener(listener)

    def parts(self, footing: Footing, stopping: threading.Event) -> EngineParts:
        breaker = self.breaker or breaker_for(footing.settings.engine, [footing.observer])
        # Every query lives long, so that how batches grow does not depend on the machine.
        return EngineParts(
            slot=self.slot,
            fallback=NoFallback() if self.many else self,
            tables=self.many,
            breaker=breaker,
            stopping=stopping,
            planning=self.planning,
            rollout=RolloutParts(self, self.seen),
            uptime=lambda: 1_000 * time.monotonic(),
        )

    def query(self) -> StreamingQuery:
        """Return the exact engine's query, which must run."""
        return next(query for query in self.spark.streams.active if query.name == self.application)

    def roll_back(self, failed: ModelKey, detail: str) -> ServedModel | None:
        return self.slot.roll_back(failed)

    def recall(self, key: ModelKey) -> ServedModel:
        return self.planned[key]

    def earlier(self) -> ServedModel | None:
        return None

    def candidate(self, key: ModelKey) -> ServedModel:
        return self.planned[key]

    def name_champion(self, key: ModelKey, in_place_of: ModelKey | None = None) -> str:
        """Swap at once, as the follower would soon."""
        self.slot.swap(self.planned[key])
        return ""

    def resume_tag(self, key: ModelKey) -> str:
        return ""

    def take_back(self, key: ModelKey, reason: str) -> None:
        self.roll_back(key, reason)

    def release(self, model: ServedModel) -> None:
        """The tests share their models."""

    def send(self, values: Iterable[bytes | None], partition: int = 0, **record: Any) -> None:
        own = {key: value for key, value in self.kafka.items() if key != "bootstrap.servers"}
        publisher = Publisher(self.servers, self.topic, **own, **{"message.max.bytes": 20_000_000})
        for value in values:
            publisher.send(value, partition=partition, **record)
        publisher.finish(30)

    def read(self, suffix: str) -> list[Any]:
        """Every committed message of ``<topic><suffix>`` by now, by partition and offset."""
        return committed(self.kafka, self.topic + suffix)

    def predictions(self) -> list[dict[str, Any]]:
        return [json.loads(message.value()) for message in self.read(".out")]


def committed(kafka: Mapping[str, str], topic: str) -> list[Any]:
    """Every committed message of a topic by now, by partition and offset."""
    own = {"group.id": "reader", "isolation.level": "read_committed", "enable.partition.eof": "true"}
    consumer = Consumer({**kafka, **own, "enable.auto.commit": "false"})
    parts = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    places = {part: TopicPartition(topic, part, 0) for part in parts}
    last = {part: consumer.get_watermark_offsets(position, timeout=10)[1] - 1 for part, position in places.items()}
    consumer.assign(list(places.values()))
    messages: list[Any] = []
    ended: set[int] = set()
    # A partition that grows faster than it is read has no end.
    while len(ended) < len(parts):
        message: Any = consumer.poll(10)
        assert message is not None
        if message.error() is None:
            messages.append(message)
        if message.error() or message.offset() >= last[message.partition()]:
            ended.add(message.partition())
    consumer.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def event(number: int, **changes: Any) -> bytes:
    """A valid event; a change of ``...`` leaves the field out."""
    fields = {
        "event_id": f"e{number}",
        "event_time": "2013-01-01T05:15:00Z",
        "carrier": "UA",
        "distance": float(number % 100),
        **changes,
    }
    return json.dumps({key: value for key, value in fields.items() if value is not ...}).encode()
