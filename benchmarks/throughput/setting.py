"""Where a throughput benchmark runs, and the clock for all systems that run on Spark."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
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
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.local.services import Services, services
from streaming.models.ref import ModelVersion
from streaming.settings import Settings
from streaming.training.flights import between, events

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
        steady = [one for one in self.batches[query][WARM_UP_BATCHES:] if 2 * one[0] > largest]
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
                # From the first session on: a jar added to a running JVM does not reach the driver's class path.
                "spark": {"conf": {"spark.driver.memory": "4g", "spark.jars": ",".join(jars(HOME).connector_jars())}},
            }
        )


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


@contextmanager
def stage(
    events: int, rows_per_batch: int, partitions: int, console: Console, *, candidate: bool = False
) -> Iterator[tuple[Setting, ModelVersion]]:
    """Start the services, train a version, fill the topic; yield where that is, and the version.

    With ``candidate`` a second version is trained, for systems with two arms.
    """
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

            def made(**changes: str) -> ModelVersion:
                train = trained.train.model_copy(update={"to_time": "2013-04-01", **changes})
                return train_version(trained.model_copy(update={"train": train}), spark, console.print).version

            version = made(alias="champion")
            if candidate:
                made(alias="candidate")
        admin = KafkaAdmin(trained.kafka, "bench")
        admin.ensure_topic("features", partitions, {"retention.ms": "-1"})
        fill(setting)
        yield setting, version
