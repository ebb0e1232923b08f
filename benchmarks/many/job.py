"""One job of the benchmark in a process of its own, which prints what was measured as its last line."""

from __future__ import annotations

import json
import os
import statistics
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
from tests.support.many import records_of_values

ALIAS = "serving"
"""The alias that the jobs follow."""
TOPIC = "features"
RATE = 1_000
"""Events per second of the steady load."""
LOAD_SECONDS = 10
TOUCHED = 10
"""The models whose events are in a batch that does not touch the others."""
_TOUCHING_ROWS = 20_000
_TOUCHING_RUNS = 7
WATCHED_EVERY = 0.25
PATIENCE = 600


@dataclass(frozen=True)
class ManySetting:
    """Where the services are, and how much is to be scored: ``events`` of as many tenants as models at the most."""

    servers: str
    tracking_uri: str
    folder: str
    tenants: int
    events: int
    rows_per_batch: int
    partitions: int

    def to_json(self) -> str:
        """Return it as an argument."""
        return json.dumps(asdict(self))


def model_name(number: int) -> str:
    """Return the registered name of a model."""
    return f"churn-{number:04d}"


def tenant_events(setting: ManySetting, number: int, tenants: int) -> Iterator[Outgoing[int]]:
    """Yield so many departures, each with its tenant; each partition has all tenants evenly."""
    for record in departures(number, setting.partitions):
        # The tenant does not go round with the partition.
        tenant = record.note // setting.partitions % tenants
        yield replace(record, value=b'%b,"tenant":"%04d"}' % ((record.value or b"")[:-1], tenant))


def rule_of(setting: ManySetting, models: int) -> dict[str, Any]:
    """Return the section ``models`` by which all tenants share so many models; none for a job without a rule."""
    if not models:
        return {}
    if models == setting.tenants:
        return {"route": {"field": "tenant", "model": "churn-{tenant}"}}
    listed = [{"value": f"{tenant:04d}", "model": model_name(tenant % models)} for tenant in range(setting.tenants)]
    return {"route": {"field": "tenant"}, "list": listed}


def settings_of(setting: ManySetting, models: int) -> Settings:
    """Return the job's settings; of no models, those of a job with one and without a rule."""
    name = f"many-{models}"
    home = Path(setting.folder) / name
    return Settings.model_validate(
        {
            "application": name,
            "kafka": {"bootstrap.servers": setting.servers},
            "input": {"topic": TOPIC, "max_rows_per_batch": setting.rows_per_batch},
            "output": {"predictions": f"{name}.out", "dead_letters": f"{name}.dlq"},
            "model": {
                "name": model_name(0),
                "alias": ALIAS,
                "tracking_uri": setting.tracking_uri,
                "cache_dir": str(home / "models"),
                "poll_seconds": 5,
                "scorer": "compiled",
            },
            "models": rule_of(setting, models),
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
    """Run the job over the waiting events, then, with many models, under a steady load; return what was measured."""
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
                if models:
                    result.update(_with_many(setting, job, ages))
            finally:
                job.stop()

        threading.Thread(target=phases).start()
        job.run()
        result["peak_rss_bytes"] = memory.peak
    return result


def _with_many(setting: ManySetting, job: ScoringJob, ages: CommitAges) -> dict[str, float]:
    """Swap a version, send a steady load, and score a batch that touches few models; return what was measured."""
    touching = _touching_seconds(setting, job)
    swap = _swap(setting, job)
    ages.begin()
    load = SteadyLoad[int](setting.servers, TOPIC, RATE)
    load.run(tenant_events(setting, RATE * LOAD_SECONDS, setting.tenants))
    _wait(lambda: sum(ages.counts) >= RATE * LOAD_SECONDS)
    return {
        "swap_seconds": swap,
        "p50_seconds": ages.quantile(0.5),
        "p99_seconds": ages.quantile(0.99),
        "touching_ten_seconds": touching,
    }


def _touching_seconds(setting: ManySetting, job: ScoringJob) -> float:
    """Return the processor seconds, at the median, that one pass over events of ten models takes in this process."""
    served = job.shared.slot.current()
    if served is None or served.row_pass is None:
        raise AssertionError("the job serves a table")
    records = records_of_values([event.value for event in tenant_events(setting, _TOUCHING_ROWS, TOUCHED)])
    seconds = []
    for _ in range(_TOUCHING_RUNS):
        began = time.thread_time()
        served.row_pass.score(records)
        seconds.append(time.thread_time() - began)
    return round(statistics.median(seconds), 4)


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


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE} s nothing came of it")
        time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(measure(ManySetting(**json.loads(sys.argv[1])), int(sys.argv[2]))))
