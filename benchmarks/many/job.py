"""One job of the benchmark in a process of its own, which prints what was measured as its last line."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from pyspark.sql import SparkSession

from benchmarks.latency.tree import usage
from benchmarks.throughput.setting import Meter, departures, spark_conf
from jobs.process.stopping import StopRequest
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.scoring import scoring_job
from jobs.wiring.warm_job import ScoringJob
from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Outgoing
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.models.many_follower import ManyFollower
from streaming.operations.metrics import FinishedBatch
from streaming.settings import Settings

ALIAS = "serving"
"""The alias that the jobs follow."""
RATE = 1_000
"""Events per second of the steady load."""
LOAD_SECONDS = 20
WATCHED_EVERY = 0.25
PATIENCE = 600


@dataclass(frozen=True)
class ManySetting:
    """Where the services are, and how much is to be scored."""

    servers: str
    tracking_uri: str
    folder: str
    events: int
    rows_per_batch: int
    partitions: int

    def to_json(self) -> str:
        """Return it as an argument."""
        return json.dumps(asdict(self))


def model_name(number: int) -> str:
    """Return the registered name of a tenant's model."""
    return f"churn-{number:04d}"


def topic_of(models: int) -> str:
    """Return the topic with the events of so many tenants."""
    return f"features-{models}"


def of_tenant(record: Outgoing[int], setting: ManySetting, tenants: int) -> bytes:
    """Return an event with its tenant, which does not go round with the partition: each partition has all tenants."""
    tenant = record.note // setting.partitions % tenants
    return b'%b,"tenant":"%04d"}' % ((record.value or b"")[:-1], tenant)


def settings_of(setting: ManySetting, models: int) -> Settings:
    """Return the job's settings; of no models, those of a job with one and without a rule."""
    name = f"many-{models}"
    home = Path(setting.folder) / name
    route: dict[str, Any] = {"route": {"field": "tenant", "model": "churn-{tenant}"}} if models else {}
    if 0 < models < 1_000:
        # Else each job would load every model that is registered.
        listed = [{"value": f"{number:04d}", "model": model_name(number)} for number in range(models)]
        route = {"route": {"field": "tenant"}, "list": listed}
    return Settings.model_validate(
        {
            "application": name,
            "kafka": {"bootstrap.servers": setting.servers},
            "input": {"topic": topic_of(max(models, 1)), "max_rows_per_batch": setting.rows_per_batch},
            "output": {"predictions": f"{name}.out", "dead_letters": f"{name}.dlq"},
            "model": {
                "name": model_name(0),
                "alias": ALIAS,
                "tracking_uri": setting.tracking_uri,
                "cache_dir": str(home / "models"),
                "poll_seconds": 5,
                "scorer": "compiled",
            },
            "models": route,
            "engine": {"checkpoint": str(home / "checkpoint")},
            "http": {"enabled": False},
            "spark": {"conf": {**spark_conf(), "spark.driver.memory": "2g"}},
        }
    )


@dataclass
class PeakMemory:
    """The largest resident size of this process and all below it, as seen four times a second."""

    peak: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until stopped."""
        while not self.stopping.wait(WATCHED_EVERY):
            self.peak = max(self.peak, usage(os.getpid()).rss_bytes)


@dataclass
class CommitAges:
    """How old events were when they were committed, from the moment of :meth:`begin` on."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(AGE_BOUNDS) + 1))
    rows: int = 0

    def begin(self) -> None:
        """Forget what was before."""
        self.counts = [0] * (len(AGE_BOUNDS) + 1)

    def add(self, batch: FinishedBatch) -> None:
        """Count a batch's events."""
        self.rows += batch.rows_in
        self.counts = [before + more for before, more in zip(self.counts, batch.outcome.ages, strict=True)]

    def quantile(self, share: float) -> float:
        """Return the upper bound in seconds of the bucket that has the quantile; infinite beyond the last."""
        least, seen = share * sum(self.counts), 0
        for bound, count in zip((*AGE_BOUNDS, float("inf")), self.counts, strict=True):
            seen += count
            if seen >= least:
                return bound
        return float("inf")


def measure(setting: ManySetting, models: int) -> dict[str, Any]:
    """Run the job over the waiting events, then under a steady load, and return what was measured."""
    settings = settings_of(setting, models)
    prepare_mlflow()
    meter, ages, result = Meter(), CommitAges(), dict[str, Any]()
    began = time.monotonic()
    with scoring_job(settings, StopRequest(None), submitted=False) as job, watched() as memory:
        result["load_seconds"] = round(time.monotonic() - began, 2)
        job.shared.observer.also.append(ages.add)
        SparkSession.builder.getOrCreate().streams.addListener(meter)

        def phases() -> None:
            # Whatever goes wrong here, the job must end, or the benchmark would never.
            try:
                _wait(lambda: ages.rows >= setting.events)
                result["eps"] = round(meter.rate(settings.application))
                result["swap_seconds"] = _swap(setting, job) if models else None
                ages.begin()
                _load(setting, max(models, 1))
                _wait(lambda: sum(ages.counts) >= RATE * LOAD_SECONDS)
                result["p50_seconds"], result["p99_seconds"] = ages.quantile(0.5), ages.quantile(0.99)
            finally:
                job.stop()

        threading.Thread(target=phases).start()
        job.run()
        result["peak_rss_bytes"] = memory.peak
    return result


@contextmanager
def watched() -> Iterator[PeakMemory]:
    """Watch the memory while the block lasts."""
    memory = PeakMemory()
    thread = threading.Thread(target=memory.watch, daemon=True)
    thread.start()
    yield memory
    memory.stopping.set()
    thread.join()


def _swap(setting: ManySetting, job: ScoringJob) -> float:
    """Move one model's alias to a new version; return the seconds until the table that serves has it."""
    follower = job.follower
    if not isinstance(follower, ManyFollower):
        raise AssertionError("this job follows many models")
    client = MlflowClient(setting.tracking_uri, setting.tracking_uri)
    before = client.get_model_version_by_alias(model_name(0), ALIAS)
    own = MlflowClient(setting.tracking_uri, f"sqlite:///{setting.folder}/mlflow/mlflow.db")
    made = own.create_model_version(model_name(0), str(before.source), tags=dict(before.tags), await_creation_for=0)
    table = job.shared.slot.current()
    began = time.monotonic()
    client.set_registered_model_alias(model_name(0), ALIAS, made.version)
    follower.wake()
    _wait(lambda: job.shared.slot.current() is not table)
    return round(time.monotonic() - began, 3)


def _load(setting: ManySetting, tenants: int) -> None:
    """Send events at a steady rate, spread evenly over the tenants."""
    records = departures(RATE * LOAD_SECONDS, setting.partitions)
    sent = (replace(record, value=of_tenant(record, setting, tenants)) for record in records)
    SteadyLoad[int](setting.servers, topic_of(tenants), RATE).run(sent)


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE} s nothing came of it")
        time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(measure(ManySetting(**json.loads(sys.argv[1])), int(sys.argv[2]))))
