"""The surroundings of ``make demo-rollout``: three versions, and the processes beside the scoring job."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import yaml
from pyspark.sql import SparkSession

from jobs.configuration.load import load_settings
from jobs.demo.rig import ALIAS, MODEL, STOP_SECONDS, Rig
from jobs.verbs.train.run import train_version
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.local.processes import ManagedProcess
from streaming.training import flights

LABELS = "flight-outcomes"
SINCE = datetime(2013, 4, 1, tzinfo=timezone.utc)
"""The first departure of the stream; what is trained on lies before."""
HORIZON_SECONDS = 6 * 3600
"""By then 93 of 100 flights have landed."""
OTHER_UNITS = 0.1
"""The bad candidate has learnt from weather in a tenth of the units that the stream has."""


@dataclass(frozen=True)
class DemoVersions:
    """The numbers of the registered versions."""

    champion: int
    better: int
    bad: int


def add_labels(rig: Rig) -> None:
    """Add to the configuration what a judge needs, and create the topic of labels, which keeps records of 2013."""
    settings = yaml.safe_load(rig.config.read_text("utf-8"))
    settings["quality"] = {"labels": LABELS, "horizon_seconds": HORIZON_SECONDS, "lateness_seconds": 3600}
    rig.config.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
    admin = KafkaAdmin({"bootstrap.servers": rig.services.bootstrap_servers}, "penstock-demo")
    admin.ensure_topic(LABELS, 1, {"retention.ms": "-1"}, 1)


def train_champion(rig: Rig, spark: SparkSession) -> int:
    """Train the version that serves at first, on January alone."""
    return _trained(rig, spark, [f"train.alias={ALIAS}", "train.to_time=2013-02-01"])


def train_better(rig: Rig, spark: SparkSession) -> int:
    """Train a candidate on the three months before the stream."""
    return _trained(rig, spark, [f"train.to_time={SINCE:%Y-%m-%d}"])


def train_bad(rig: Rig, spark: SparkSession) -> int:
    """Train a candidate on the same months, with the weather in other units than the stream's."""
    table = flights.between(None, SINCE).dropna(subset="late")
    scaled = table.assign(**{name: table[name] * OTHER_UNITS for name in flights.WEATHER}).drop(columns="label_time")
    path = rig.folder / "other-units.parquet"
    scaled.assign(late=scaled["late"].astype(bool)).to_parquet(path)
    numeric = ",".join((*flights.WHOLE, *flights.WEATHER))
    columns = [f"train.categorical=[{','.join(flights.CATEGORICAL)}]", f"train.numeric=[{numeric}]"]
    return _trained(rig, spark, [f"train.data={path}", *columns])


def _trained(rig: Rig, spark: SparkSession, overrides: Sequence[str]) -> int:
    settings = load_settings(rig.config, [f"model.name={MODEL}", *overrides])
    return train_version(settings, spark, lambda _: None).version.version


@contextmanager
def beside_the_job(rig: Rig, name: str, arguments: Sequence[str]) -> Iterator[ManagedProcess]:
    """Run a verb of ``penstock`` with the demonstration's configuration until the end of the block."""
    command = [sys.executable, "-m", "penstock", *arguments, "--config", str(rig.config)]
    log = rig.folder / f"{name.replace(' ', '-')}.log"
    process = ManagedProcess(name, command, log=log, environment=os.environ, grace=STOP_SECONDS)
    try:
        yield process
    finally:
        process.stop()


def plan_file(rig: Rig, name: str, text: str) -> Path:
    """Write a rollout's declaration."""
    path = rig.folder / name
    path.write_text(text, "utf-8")
    return path
