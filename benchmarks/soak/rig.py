"""The soak's surroundings: a job whose memory means something, a steady stream, and an alias that keeps moving."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import chain, pairwise, repeat
from pathlib import Path

import yaml
from rich.console import Console

from benchmarks.soak.heap import spark_conf
from jobs.configuration.load import load_settings
from jobs.demo.events import BROKEN_EVERY, messages
from jobs.demo.rig import ALIAS, Rig, make_rig, serving_version
from jobs.verbs.train.run import train_version
from jobs.wiring.session import session
from streaming.accounting.records import Outgoing
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.errors import UpstreamError
from streaming.local.processes import ManagedProcess
from streaming.local.services import Services
from streaming.models.ref import ModelVersion
from streaming.settings import SparkSettings
from streaming.training import flights
from streaming.training.record import Promotion

MONTHS = ("2013-01-01", "2013-02-01", "2013-03-01", "2013-04-01", "2013-05-01", "2013-06-01")
"""One version is trained on each; more of them than the cache keeps, so that every swap downloads one."""
KEPT = 3
_MALLOC = {
    # glibc gives every thread an arena of its own, and memory freed in one is no use to another.
    "MALLOC_ARENA_MAX": "2",
    # It also learns to keep ever larger blocks for later, megabytes at a time; given a size, it goes on returning them.
    "MALLOC_MMAP_THRESHOLD_": str(128 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 1024),
}
_SWAP_SECONDS = 120.0
_READY_SECONDS = 180.0
_GRACE = 60.0


def soak_rig(folder: Path, services: Services) -> Rig:
    """Write the demonstration's configuration with what makes resident memory comparable over time."""
    rig = make_rig(folder, services)
    config = yaml.safe_load(rig.config.read_text("utf-8"))
    config["model"]["cache_keep"] = KEPT
    config["engine"]["trigger_ms"] = 2_500  # so that there is a time between two batches, and a collection falls in it
    config["log"] = {"format": "json"}
    config["spark"] = {"master": "local[2,4]", "conf": spark_conf(gc_log(folder))}
    rig.config.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return rig


def gc_log(folder: Path) -> Path:
    """Return where the JVM logs its collections."""
    return folder / "gc.log"


def train_versions(rig: Rig, console: Console) -> list[ModelVersion]:
    """Train and register a version for each month and promote the first."""
    settings = load_settings(rig.config, []).model_copy(update={"spark": SparkSettings()})
    with session(settings, "penstock-train", rig.folder / "train.log") as spark:
        versions = []
        for number, (start, end) in enumerate(pairwise(MONTHS)):
            months = {"from_time": start, "to_time": end, "alias": None if number else ALIAS}
            train = settings.train.model_copy(update=months)
            trained = train_version(settings.model_copy(update={"train": train}), spark, lambda _: None)
            console.print(f"{trained.version} trained on {start} to {end}", highlight=False)
            versions.append(trained.version)
    return versions


@contextmanager
def job_process(rig: Rig) -> Iterator[ManagedProcess]:
    """Run ``penstock score`` until the end of the block; yield it when a version serves."""
    environment = {**os.environ, **_MALLOC, "PYTHONPATH": os.pathsep.join(_with_room(rig.folder))}
    command = [sys.executable, "-m", "penstock", "score", "--config", str(rig.config)]
    log = rig.folder / "score.log"
    job = ManagedProcess("scoring job", command, log=log, environment=environment, grace=_GRACE)
    try:
        job.wait_ready(lambda: serving_version(rig) is not None, _READY_SECONDS)
        yield job
    finally:
        job.stop()


def _with_room(folder: Path) -> Iterator[str]:
    """Yield the job's path of modules, with one on it that fills Python's table of interned strings.

    What the imports leave in it is a few hundred strings short of the size at which it doubles, by 1.9 MB, once. With
    these it doubles at the start, and not at some minute of the measurement.
    """
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text("import sys\nroom = [sys.intern(f'room {n}') for n in range(10_000)]\n")
    yield str(site)
    yield from filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))


def endless_flights() -> Iterator[Outgoing[str | None]]:
    """Yield a month of departures over and over, now and then a broken one."""
    start, end = datetime(2013, 6, 1, tzinfo=timezone.utc), datetime(2013, 7, 1, tzinfo=timezone.utc)
    return chain.from_iterable(messages(table, BROKEN_EVERY) for table in repeat(flights.between(start, end)))


def swap(rig: Rig, version: ModelVersion) -> float:
    """Move the alias and wait until the version serves; return the seconds it took.

    Raises:
        UpstreamError: it did not serve in time.
    """
    began = time.monotonic()
    MlflowTracker(rig.services.tracking_uri).promote(version, Promotion(alias=ALIAS))
    while serving_version(rig) != version.version:
        if time.monotonic() - began > _SWAP_SECONDS:
            raise UpstreamError(f"{version} did not serve within {_SWAP_SECONDS:.0f} s of the alias's move")
        time.sleep(0.2)
    return time.monotonic() - began
