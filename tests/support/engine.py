"""An exact engine over a real broker and a real query, wired as the job wires it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from pyspark.sql import SparkSession

from jobs.wiring.planning import Planning, program_of
from jobs.wiring.starting import Footing, reconciled
from jobs.wiring.topics import prepare_topics
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config, spark_options
from streaming.adapters.kafka.ledger import KafkaLedger, LedgerTopics
from streaming.clock import system_clock
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.engines.breaker import Bounds, Breaker
from streaming.engines.checkpoint import Checkpoint, local_reader, written_plainly
from streaming.engines.exact import ExactEngine, ExactPorts, Tolerance
from streaming.engines.ramp import Ramp
from streaming.engines.report import BatchReport
from streaming.engines.source import read_stream
from streaming.engines.task import WriteTarget
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver
from streaming.settings import Settings

NEVER = Breaker(Bounds(share=1.0, seconds=60, rows=1), system_clock)
"""A circuit breaker that does not trip."""


@dataclass
class Recorder:
    """An observer that remembers."""

    reports: list[BatchReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)

    def batch_finished(self, report: BatchReport) -> None:
        self.reports.append(report)

    def batch_failed(self, version: ModelVersion, problem: str) -> None:
        self.failures.append(f"{version}: {problem}")

    def rows_searched(self, seconds: float) -> None:
        self.searches.append(seconds)

    def invariant_broken(self, rows_in: int, rows_out: int) -> None:
        self.failures.append(f"{rows_in} in, {rows_out} out")


@dataclass
class Bench:
    """One application's topics and slot; ``run`` scores all there is and stops."""

    spark: SparkSession
    servers: str
    topic: str
    home: Path
    application: str
    slot: Slot = field(default_factory=Slot)
    seen: Recorder = field(default_factory=Recorder)
    max_bytes: int = 1 << 26
    rows_per_batch: int = 10_000
    ramped: bool = False
    """True where batches begin small, as the job's do."""
    on_gap: str = "fail"
    metrics: Metrics = field(default_factory=lambda: Metrics(system_clock, AGE_BOUNDS))
    planning: Planning = "kept"
    planned: dict[ModelKey, ServedModel] = field(default_factory=dict)
    rows_read: list[int] = field(default_factory=list)
    """In each batch of the last run, as Spark reports it."""

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
                "engine": {"transaction_max_bytes": self.max_bytes},
            }
        )

    def run(self) -> None:
        with self.wired() as (footing, engine):
            offsets = reconciled(footing)
            rows = self.ramp.begin() if self.ramped else self.rows_per_batch
            frame = read_stream(self.spark, spark_options(self.kafka), self.topic, offsets, rows)
            location = footing.checkpoint.location
            writing = frame.writeStream.foreachBatch(engine).option("checkpointLocation", location)
            with written_plainly(self.spark, location):
                query = writing.trigger(availableNow=True).start()
            query.awaitTermination()
            self.rows_read = [int(progress.numInputRows) for progress in query.recentProgress]

    @contextmanager
    def wired(self) -> Iterator[tuple[Footing, ExactEngine]]:
        """A new driver: the lease is taken, nothing is started."""
        settings, admin = self.settings, KafkaAdmin(self.kafka, self.application)
        topics = prepare_topics(settings, admin)
        books = LedgerTopics(settings.output.ledger, topics.targets.progress)
        ledger = KafkaLedger(self.kafka, books, self.application, self.topic, system_clock)
        writer = Writer(self.application, self.topic, topics.source.id, ledger.open())
        checkpoint = Checkpoint(str(self.home / "checkpoint"), self.topic, local_reader)
        seen = JobObserver(self.metrics, Health(self.slot, system_clock))
        footing = Footing(settings, admin, self.spark, writer, topics.targets, ledger, checkpoint, seen)
        target = WriteTarget(client_config(self.kafka), writer, topics.targets, footing.limits)

        def first(added: Iterable[int]) -> Mapping[int, int]:
            return admin.offsets(self.topic, added, "earliest")

        def committed(added: Iterable[int]) -> Mapping[int, Mark | None]:
            return admin.marks(self.topic, added)

        # Every query lives long, so that how a ramp goes on does not depend on the machine.
        self.ramp = Ramp(self.rows_per_batch, lambda: 1_000 * time.monotonic())
        ports = ExactPorts(
            self.slot, self, ledger, checkpoint, first, committed, self.seen, NEVER, system_clock, self.ramp,
            program_of(self.planning, target),
        )  # fmt: skip
        try:
            yield footing, ExactEngine(ports, target, Tolerance(poison_rows=10, failures=2))
        finally:
            ledger.close()

    def roll_back(self, failed: ModelKey, detail: str) -> ServedModel | None:
        return self.slot.roll_back(failed)

    def recall(self, key: ModelKey) -> ServedModel:
        return self.planned[key]

    def release(self, model: ServedModel) -> None:
        """The tests share their models."""

    def send(self, values: Iterable[bytes | None], partition: int = 0, **record: Any) -> None:
        producer = Producer({**self.kafka, "message.max.bytes": 20_000_000})
        for value in values:
            producer.produce(self.topic, value, partition=partition, **record)
        assert producer.flush(30) == 0

    def read(self, suffix: str) -> list[Any]:
        """Every committed message of ``<topic><suffix>`` by now, by partition and offset."""
        topic = self.topic + suffix
        own = {"group.id": "reader", "isolation.level": "read_committed", "enable.partition.eof": "true"}
        consumer = Consumer({**self.kafka, **own, "enable.auto.commit": "false"})
        parts = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        places = {part: TopicPartition(topic, part, 0) for part in parts}
        last = {part: consumer.get_watermark_offsets(place, timeout=10)[1] - 1 for part, place in places.items()}
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

    def predictions(self) -> list[dict[str, Any]]:
        return [json.loads(message.value()) for message in self.read(".out")]


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
