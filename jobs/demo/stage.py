"""What the demonstrations begin with: services, a Spark session to train with, and a display of what goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from jobs.configuration.paths import require_writable
from jobs.demo.display import Display
from jobs.demo.rig import Rig, fresh_folder, interrupted_once, make_rig
from jobs.process.logs import configure_logging
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import session
from streaming.local.services import services
from streaming.settings import LogSettings, Settings, SparkSettings
from streaming.training import flights

_TRAINING = Settings(
    spark=SparkSettings(
        conf={
            # Seconds of work on a shared machine: the optimising compiler would take more than it gives back.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
            "spark.sql.adaptive.enabled": "false",
        }
    )
)


@dataclass(frozen=True)
class DemoStage:
    """A demonstration that is ready to begin."""

    rig: Rig
    spark: SparkSession
    display: Display


@contextmanager
def demo_stage(home: Path, report: Path, console: Console) -> Iterator[DemoStage]:
    """Start services and session below ``home``, and stop them at the end of the block.

    Args:
        home: where the demonstration's folder is.
        report: the folder that gets the report, which must be writable.
        console: what is told.

    Raises:
        ConfigurationError: a folder cannot be written.
        SetupError: a service failed; the message has the end of its log.
    """
    require_writable(home, "--home")
    require_writable(report, "the folder of the report")
    configure_logging(LogSettings(level="error"))
    prepare_mlflow()
    sets = jars(home)
    folder = fresh_folder(home)
    threading.Thread(target=flights.departures, daemon=True).start()  # read while the services start
    with Display(console) as display, interrupted_once(display.say), ExitStack() as stack:
        display.say("starting Apache Kafka, an MLflow server and a Spark session")
        with ThreadPoolExecutor(1) as pool:
            opening = session(_TRAINING, "penstock-train", folder / "train.log", sets.connector_jars)
            session_coming = pool.submit(stack.enter_context, opening)
            running = stack.enter_context(services(folder, sets.broker, os.environ))
        yield DemoStage(make_rig(folder, running), session_coming.result(), display)
