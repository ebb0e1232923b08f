"""The exact engine against Spark's own Kafka sink: the same events, model, decoding, validation, envelope and headers.

Spark's sink is at least once, so the ratio is what exactly-once costs. The copy, Kafka to Kafka without scoring, is the
limit that this machine's Spark sets. The engine runs as a job does, with the compiled form, and with Spark's pipeline.
All run in turn, several times, in one process; a query's first batches, where the JVM still compiles, are left out.
``make bench-exact`` runs it and writes build/bench/exact.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from uuid import uuid4

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.listener import QueryProgressEvent, StreamingQueryListener
from rich.console import Console
from rich.table import Table

from benchmarks.scratch import HOME, scratch_folder
from jobs.process.stopping import StopRequest
from jobs.verbs.train.run import SPARK_LOG, train_version
from jobs.wiring.following import preparation, registry
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.scoring import scoring_job
from jobs.wiring.session import session
from jobs.wiring.topics import prepare_topics
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.admin import KafkaAdmin, TopicSample
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.session import SessionPlan, start_session
from streaming.clock import isoformat, system_clock
from streaming.engines.source import read_stream
from streaming.local.services import Services, services
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.outputs.envelope import Stamp, envelop
from streaming.outputs.spark_rows import native_records
from streaming.settings import Settings
from streaming.training.flights import between, events

CONNECTOR = jars(HOME).connector_jars()
WARM_UP_BATCHES = 2
KINDS = ("exact", "spark", "native", "copy")


@dataclass
class Meter(StreamingQueryListener):
    """Rows and seconds of every batch of every query, as Spark reports them: the same clock for all."""

    batches: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def onQueryStarted(self, event: object) -> None:
        """Nothing to count yet."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        progress = event.progress
        if progress.numInputRows:
            seconds = progress.durationMs["triggerExecution"] / 1000
            self.batches.setdefault(progress.name or "", []).append((progress.numInputRows, seconds))

    def onQueryIdle(self, event: object) -> None:
        """Nothing to count."""

    def onQueryTerminated(self, event: object) -> None:
        """Nothing to count."""

    def rows(self, query: str) -> int:
        return sum(rows for rows, _ in self.batches.get(query, ()))

    def rate(self, query: str) -> float:
        # A job's batches begin small after a start; what is compared is batches of the size that was asked for.
        largest = max(rows for rows, _ in self.batches[query])
        steady = [one for one in self.batches[query][WARM_UP_BATCHES:] if 2 * one[0] > largest]
        return sum(rows for rows, _ in steady) / sum(seconds for _, seconds in steady)


@dataclass(frozen=True)
class Setting:
    """One benchmark: where, and how much."""

    services: Services
    folder: Path
    topic: str
    events: int
    rows_per_batch: int
    partitions: int

    def settings(self, name: str, scorer: str = "auto") -> Settings:
        return Settings.model_validate(
            {
                "application": name,
                "kafka": {"bootstrap.servers": self.services.bootstrap_servers},
                "input": {"topic": self.topic, "max_rows_per_batch": self.rows_per_batch},
                "output": {"predictions": f"{name}.out", "dead_letters": f"{name}.dlq"},
                "model": {
                    "tracking_uri": self.services.tracking_uri,
                    "cache_dir": str(self.folder / "models"),
                    "scorer": scorer,
                },
                "engine": {"checkpoint": str(self.folder / "checkpoints" / name)},
                "http": {"enabled": False},
                # From the first session on: a jar added to a running JVM does not reach the driver's class path.
                "spark": {"conf": {"spark.driver.memory": "4g", "spark.jars": ",".join(CONNECTOR)}},
            }
        )


def run_exact(setting: Setting, name: str, meter: Meter, scorer: str = "compiled") -> None:
    with scoring_job(setting.settings(name, scorer), StopRequest(None), submitted=False) as job:
        SparkSession.builder.getOrCreate().streams.addListener(meter)
        threading.Thread(target=stop_when_done, args=(lambda: meter.rows(name), setting.events, job.stop)).start()
        job.run()


def run_native(setting: Setting, name: str, meter: Meter) -> None:
    settings = setting.settings(name)
    with spark_session(settings) as spark:
        admin = KafkaAdmin(settings.kafka, name)
        version = registry(settings.model).resolve(ModelSelector.from_settings(settings.model))
        checks = preparation(settings, spark, TopicSample(admin, setting.topic))
        served = checks.prepare(version, registry(settings.model).download)
        stamp = Stamp(setting.topic, version, "champion", isoformat(system_clock()))
        rows = envelop(served.score(_stream(setting, settings, spark)), stamp)
        targets = prepare_topics(settings, admin).targets
        _drain(setting, settings, native_records(rows, stamp, name, targets).drop("reason"), spark, meter)


def run_copy(setting: Setting, name: str, meter: Meter) -> None:
    settings = setting.settings(name)
    with spark_session(settings) as spark:
        rows = _stream(setting, settings, spark).select(
            F.lit(settings.output.predictions).alias("topic"), "partition", "key", "value"
        )
        _drain(setting, settings, rows, spark, meter)


RUN: dict[str, Callable[[Setting, str, Meter], None]] = {
    "exact": run_exact,
    "spark": partial(run_exact, scorer="spark"),
    "native": run_native,
    "copy": run_copy,
}


@contextmanager
def spark_session(settings: Settings) -> Iterator[SparkSession]:
    """A session like the job's own, stopped at the end."""
    spark = start_session(SessionPlan(settings.application, conf=settings.spark.conf))
    try:
        yield spark
    finally:
        spark.stop()


def _stream(setting: Setting, settings: Settings, spark: SparkSession) -> DataFrame:
    starting = dict.fromkeys(range(setting.partitions), 0)
    return read_stream(spark, spark_options(settings.kafka), setting.topic, starting, setting.rows_per_batch)


def _drain(setting: Setting, settings: Settings, rows: DataFrame, spark: SparkSession, meter: Meter) -> None:
    admin, name = KafkaAdmin(settings.kafka, settings.application), settings.application
    for topic in (settings.output.predictions, settings.dead_letter_topic):
        admin.ensure_topic(topic, setting.partitions, {"retention.ms": "-1"})
    spark.streams.addListener(meter)
    options = {**spark_options(settings.kafka), "kafka.acks": "all", "checkpointLocation": settings.checkpoint}
    query = rows.writeStream.queryName(name).format("kafka").options(**options).start()
    stop_when_done(lambda: meter.rows(name), setting.events, query.stop)


def stop_when_done(rows: Callable[[], int], wanted: int, stop: Callable[[], None]) -> None:
    """Stop a query when it has had all rows, or ten minutes are over."""
    deadline = time.monotonic() + 600
    while rows() < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    stop()


def fill(setting: Setting) -> None:
    """Send departures from April on, over and over, spread evenly over the partitions."""
    table = between(datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc))
    values = [(departure.value, departure.key) for departure in events(table)]
    filler = Publisher(setting.services.bootstrap_servers, setting.topic, **{"linger.ms": 50})
    for number, (value, key) in enumerate(islice(cycle(values), setting.events)):
        filler.send(value, key, partition=number % setting.partitions)
    filler.finish()


def measure(setting: Setting, rounds: int, console: Console) -> Iterator[dict[str, float]]:
    """Yield each round's rates in events per second."""
    for number in range(1, rounds + 1):
        rates = {}
        for kind in KINDS:
            meter, name = Meter(), f"{kind}-{uuid4().hex[:6]}"
            RUN[kind](setting, name, meter)
            rates[kind] = meter.rate(name)
            console.print(f"round {number}: {kind:7}{rates[kind]:>10,.0f} events/s", highlight=False)
        yield rates


def main(events: int = 1_400_000, rows_per_batch: int = 200_000, partitions: int = 2, rounds: int = 3) -> None:
    """Measure, print and write build/bench/exact.json."""
    console = Console()
    with stage(events, rows_per_batch, partitions, console) as (setting, _):
        measured = list(measure(setting, rounds, console))
    report(measured, setting, console)


@contextmanager
def stage(
    events: int, rows_per_batch: int, partitions: int, console: Console
) -> Iterator[tuple[Setting, ModelVersion]]:
    """Start the services, train a version, fill the topic; yield where that is, and the version."""
    prepare_mlflow()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with (
        scratch_folder("exact") as folder,
        services(folder, jars(HOME).broker, os.environ) as running,
    ):
        setting = Setting(
            services=running,
            folder=folder,
            topic="features",
            events=events,
            rows_per_batch=rows_per_batch,
            partitions=partitions,
        )
        trained = setting.settings("bench")
        with session(trained, "penstock-train", SPARK_LOG) as spark:
            train = trained.train.model_copy(update={"to_time": "2013-04-01", "alias": "champion"})
            version = train_version(trained.model_copy(update={"train": train}), spark, console.print).version
        admin = KafkaAdmin(trained.kafka, "bench")
        admin.ensure_topic("features", partitions, {"retention.ms": "-1"})
        fill(setting)
        yield setting, version


def report(measured: list[dict[str, float]], setting: Setting, console: Console) -> None:
    """Print the medians and write them; the ratio is the median of each round's own."""
    median = {kind: statistics.median(rates[kind] for rates in measured) for kind in KINDS}
    ratio = statistics.median(rates["exact"] / rates["native"] for rates in measured)
    result = {f"{kind}_eps": round(median[kind]) for kind in KINDS} | {
        "ratio": round(ratio, 3),
        "compiled_to_spark": round(statistics.median(rates["exact"] / rates["spark"] for rates in measured), 3),
        "rounds": [{kind: round(rate) for kind, rate in rates.items()} for rates in measured],
        "events": setting.events,
        "rows_per_batch": setting.rows_per_batch,
        "partitions": setting.partitions,
        "cores": os.cpu_count(),
    }
    table = Table(title=f"Exactly once at {ratio:.2f} of Spark's own sink")
    table.add_column("")
    table.add_column("events/s", justify="right")
    texts = ("exact engine", "exact engine by Spark's pipeline", "Spark's sink, at least once", "copy, no scoring")
    for kind, text in zip(KINDS, texts, strict=True):
        table.add_row(text, f"{median[kind]:,.0f}")
    console.print(table)
    target = Path("build/bench/exact.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
