"""``penstock train``: fit a pipeline, judge it on later data, record it in MLflow, register and promote it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from jobs.config import load_settings
from jobs.logs import configure_logging
from jobs.session import require_log, session
from streaming.adapters.mlflow_tracking import MlflowTracker
from streaming.errors import ConfigurationError
from streaming.settings import Settings
from streaming.training.record import Promotion, TrainedVersion
from streaming.training.run import Trainer

MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own seven take minutes to say that no server is there
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

SPARK_LOG = Path(".penstock/train-spark.log")


def train(config: Path | None, overrides: Sequence[str]) -> None:
    """Train by the settings and print what came of it.

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
    require_log(SPARK_LOG)
    prepare_mlflow()
    console = Console()
    with session(settings, "penstock-train", SPARK_LOG) as spark, steps(console) as progress:
        trained = train_version(settings, spark, progress)
    console.print(summary(trained, settings))


def train_version(settings: Settings, spark: SparkSession, progress: Callable[[str], None]) -> TrainedVersion:
    """Train, register and promote one version; ``progress`` is told each step."""
    tracker = MlflowTracker(settings.model.tracking_uri, settings.model.registry_uri)
    trainer = Trainer(spark, tracker, settings.model.name, git_tags(Path.cwd()), progress)
    return trainer.train(
        settings.train, Promotion(settings.train.alias, settings.train.stage), settings.drift.window_seconds
    )


def prepare_mlflow() -> None:
    """Set MLflow's variables that the user has not set: fail soon, print nothing beside our own output."""
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows each step: a spinner on a terminal, a line elsewhere."""
    if not console.is_terminal:
        yield lambda step: console.print(f"- {step}", highlight=False)
        return
    with console.status("starting") as status:
        yield status.update


def git_tags(folder: Path) -> dict[str, str]:
    """Return the revision of the repository that ``folder`` is in, as MLflow's own tag; empty where there is none."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return {}
    return {"mlflow.source.git.commit": done.stdout.strip()} if done.returncode == 0 else {}


def summary(trained: TrainedVersion, settings: Settings) -> Table:
    """Return the table that ends the command."""
    put = [f"alias {settings.train.alias}"] if settings.train.alias else []
    put += [f"stage {settings.train.stage}"] if settings.train.stage else []
    table = Table(title=f"{trained.version}, {', '.join(put) or 'registered, not promoted'}", show_header=False)
    table.add_row("algorithm", settings.train.algorithm.replace("_", " "))
    table.add_row("data", f"{trained.tags['penstock.data.from']} to {trained.tags['penstock.data.to']}")
    table.add_row("rows", f"{int(trained.tags['penstock.data.rows']):,}")
    table.add_row(f"judged on rows from {trained.cut:%Y-%m-%d %H:%M}", "")
    for name, value in trained.metrics.items():
        table.add_row(f"  {name.replace('_', ' ')}", f"{value:.4f}")
    table.add_row("run", trained.version.run_id)
    return table


if __name__ == "__main__":
    from jobs.cli import main

    sys.argv.insert(1, "train")
    main()
