"""``penstock train``: fit a pipeline, evaluate it on later data, record it in MLflow, register and promote it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.terminal.progress import steps
from jobs.verbs.train.display import summary
from jobs.wiring.lookups import past_lookup
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import require_log, session
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.errors import ConfigurationError
from streaming.settings import Settings
from streaming.training.pipeline import require_parameters
from streaming.training.record import Promotion, TrainedVersion
from streaming.training.run import Trainer

SPARK_LOG = Path(".penstock/train-spark.log")


def train(config: Path | None, overrides: Sequence[str]) -> None:
    """Train by the settings and print the result.

    Raises:
        ConfigurationError: the settings or the data do not fit.
        RegistryUnavailableError: the tracking server failed.
    """
    settings = load_settings(config, overrides)
    if settings.model.tracking_uri is None:
        raise ConfigurationError(
            "no tracking server: set model.tracking_uri, or the variable MLFLOW_TRACKING_URI, to the MLflow server"
            " (`penstock up` starts one)"
        )
    configure_logging(settings.log)
    require_parameters(settings.train)
    require_log(SPARK_LOG)
    prepare_mlflow()
    # Before Spark starts and reads the data, which takes longer than to hear that no server is there.
    MlflowTracker(settings.model.tracking_uri, settings.model.registry_uri).require_answer(settings.train.experiment)
    console = Console()
    with session(settings, "penstock-train", SPARK_LOG) as spark, steps(console) as progress:
        trained = train_version(settings, spark, progress)
    console.print(summary(trained, settings))


def train_version(settings: Settings, spark: SparkSession, progress: Callable[[str], None]) -> TrainedVersion:
    """Train, register and promote one version; ``progress`` is called with each step."""
    tracker = MlflowTracker(settings.model.tracking_uri, settings.model.registry_uri)
    trainer = Trainer(
        spark=spark,
        tracker=tracker,
        name=settings.model.name,
        tags=git_tags(Path.cwd()),
        progress=progress,
        past=past_lookup(settings),
    )
    return trainer.train(
        settings.train, Promotion(settings.train.alias, settings.train.stage), settings.drift.window_seconds
    )


def git_tags(folder: Path) -> dict[str, str]:
    """Return the revision of the repository that ``folder`` is in, as MLflow's own tag; empty outside a repository."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return {}
    return {"mlflow.source.git.commit": done.stdout.strip()} if done.returncode == 0 else {}
