"""Where a throughput benchmark runs, and the clock for all systems that run on Spark."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path

from pyspark.sql.streaming.listener import QueryProgressEvent, StreamingQueryListener
from rich.console import Console

from benchmarks.scratch import HOME, scratch_folder
from jobs.verbs.train.run import SPARK_LOG, train_version
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import session
from streaming.accounting.load import Publisher
from streaming.accounting.records import Outgoing
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.local.services import Services, services
from streaming.models.ref import ModelVersion
from streaming.settings import Settings
from streaming.training.flights import between
from streaming.training.flights import events as flights

WARM_UP_BATCHES = 2


@dataclass(frozen=True)
class Rates:
    """Events per second in the steady state, and of all events, the first among them."""

    steady: float
    burst: float


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
        """Return the events per second of a steady query."""
        # A job's batches begin small after a start; what is compared is batches of the size that was asked for.
        largest = max(rows for rows, _ in self.batches[query])
        steady = [batch for batch in self.batches[query][WARM_UP_BATCHES:] if 2 * batch[0] > largest]
        return sum(rows for rows, _ in steady) / sum(seconds for _, seconds in steady)

    def burst(self, query: str) -> float:
        """Return the events per second of all batches, the first and small ones among them."""
        return self.rows(query) / sum(seconds for _, seconds in self.batches[query])


@dataclass(frozen=True)
class Setting:
    """One benchmark: where, and how much."""

    services: Services
    folder: Path
    topic: str
    events: int
    rows_per_batch: int
    partitions: int

    def settings(self, name: str, scorer: str = "auto", *, share: float | None = None) -> Settings:
        """Return those of a job of this name, which writes topics of its own.

        With a ``share`` it has a second arm, which is the candidate.
        """
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
                    "arm": None if share is None else {"version": 2, "share": share, "salt": "bench"},
                },
                "engine": {"checkpoint": str(self.folder / "checkpoints" / name)},
                "http": {"enabled": False},
                "spark": {"conf": spark_conf()},
            }
        )


def spark_conf() -> dict[str, str]:
    """Return Spark's settings, from the first session on: a jar added to a running JVM is not on its class path."""
    return {"spark.driver.memory": "4g", "spark.jars": ",".join(jars(HOME).connector_jars())}


def stop_when_done(rows: Callable[[], int], events: int, stop: Callable[[], None]) -> None:
    """Stop a query when it has had all rows, or ten minutes are over."""
    deadline = time.monotonic() + 600
    while rows() < events and time.monotonic() < deadline:
        time.sleep(0.05)
    stop()


def departures(events: int, partitions: int) -> Iterator[Outgoing[int]]:
    """Yield departures from April on, over and over, spread evenly over the partitions; a note is a number from 0."""
    table = between(datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc))
    values = [(departure.value, departure.key) for departure in flights(table)]
    for number, (value, key) in enumerate(islice(cycle(values), events)):
        yield Outgoing(value, number, key, partition=number % partitions)


def fill(servers: str, topic: str, partitions: int, records: Iterable[Outgoing[int]]) -> None:
    """Make a topic that keeps what is sent, and send the records."""
    KafkaAdmin({"bootstrap.servers": servers}, "bench").ensure_topic(topic, partitions, {"retention.ms": "-1"})
    filler = Publisher(servers, topic, **{"linger.ms": 50})
    for record in records:
        filler.send(record.value, record.key, partition=record.partition)
    filler.finish()


@dataclass(frozen=True)
class Trained:
    """Services that run, a folder for whatever a benchmark writes, and the version that was trained on three months."""

    services: Services
    folder: Path
    version: ModelVersion


@contextmanager
def trained(name: str, console: Console, *, candidate: bool = False) -> Iterator[Trained]:
    """Start the services and train a version; ``name`` is the benchmark's, for its folder.

    With ``candidate`` a second one is trained and gets that alias.
    """
    prepare_mlflow()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with scratch_folder(name) as folder, services(folder, jars(HOME).broker, os.environ) as running:
        settings = Settings.model_validate(
            {
                "model": {"tracking_uri": running.tracking_uri, "cache_dir": str(folder / "models")},
                "train": {"to_time": "2013-04-01", "alias": "champion"},
                "spark": {"conf": spark_conf()},
            }
        )
        with session(settings, "penstock-train", SPARK_LOG) as spark:
            version = train_version(settings, spark, console.print).version
            if candidate:
                second = settings.train.model_copy(update={"alias": "candidate"})
                train_version(settings.model_copy(update={"train": second}), spark, console.print)
        yield Trained(running, folder, version)


@contextmanager
def stage(
    events: int, rows_per_batch: int, partitions: int, console: Console, *, candidate: bool = False
) -> Iterator[tuple[Setting, ModelVersion]]:
    """Start the services, train a version, fill the topic; yield where that is, and the version.

    With ``candidate`` a second version is trained, for systems with two arms.
    """
    with trained("exact", console, candidate=candidate) as made:
        setting = Setting(
            services=made.services,
            folder=made.folder,
            topic="features",
            events=events,
            rows_per_batch=rows_per_batch,
            partitions=partitions,
        )
        fill(made.services.bootstrap_servers, setting.topic, partitions, departures(events, partitions))
        yield setting, made.version
