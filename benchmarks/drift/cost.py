"""What watching for drift costs the scoring job on the same cores: its rate without bins, with them, and watched.

``bare`` scores with a version that has no reference profile; ``bins`` with one that has, so every prediction carries
its bins; ``watched`` while the drift query reads and counts these predictions in the same Spark, on the same cores.
The three run in turn, several times. ``make bench-drift`` runs it last and notes the ratio in build/bench/drift.json.
"""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import typer
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks.throughput.setting import Meter, Setting, stage, stop_when_done
from jobs.process.stopping import StopRequest
from jobs.wiring.drift import drift_query, prepare_topics
from jobs.wiring.scoring import scoring_job
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.models import profile
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.ref import ModelVersion
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import Settings
from streaming.training.record import Promotion

KINDS = {"bare": "without a profile", "bins": "with bins in a header", "watched": "and the drift query beside it"}
TARGET = Path("build/bench/drift.json")


def run(setting: Setting, kind: str) -> tuple[float, int]:
    """Return the scoring job's rate, and how many predictions the drift query counted meanwhile."""
    meter, name = Meter(), f"{kind}-{uuid4().hex[:6]}"
    settings = _settings(setting, name, "bare" if kind == "bare" else "champion")
    done = threading.Event()
    with scoring_job(settings, StopRequest(None), submitted=False) as job, ExitStack() as stack:
        spark = SparkSession.builder.getOrCreate()
        spark.streams.addListener(meter)
        threading.Thread(target=stop_when_done, args=(lambda: meter.rows(name), setting.events, job.stop)).start()
        watching = None
        if kind == "watched":
            prepare_topics(settings, KafkaAdmin(settings.kafka, name))
            query = drift_query(settings, spark, DriftMetrics(), stack)
            watching = threading.Thread(target=query.run, args=(done,))
            watching.start()
        job.run()
        done.set()
        if watching is not None:
            watching.join()
    return meter.rate(name), meter.rows(f"{name}-drift")


def _settings(setting: Setting, name: str, alias: str) -> Settings:
    settings = setting.settings(name)
    drift = {"checkpoint": str(setting.folder / "checkpoints" / f"{name}-drift"), "window_seconds": 86_400}
    changed = {"model": {**settings.model.model_dump(), "alias": alias}, "drift": drift}
    output = {**settings.output.model_dump(), "drift": f"{name}.drift"}
    return Settings.model_validate({**settings.model_dump(), **changed, "output": output})


def without_profile(settings: Settings, version: ModelVersion) -> None:
    """Register the version once more, as it would be without a reference profile, under the alias ``bare``."""
    tracker = MlflowTracker(settings.model.tracking_uri)
    with TemporaryDirectory() as folder, tracker.run("bench", "bare") as run:
        tree = tracker.download(version, Path(folder))
        (tree / profile.PATH).unlink()
        made = run.register(tree, version.name, {DIGEST_TAG: tree_digest(tree)})
    tracker.promote(made, Promotion("bare"))


def measure(setting: Setting, rounds: int, console: Console) -> Iterator[dict[str, float]]:
    """Yield each round's rates in events per second."""
    for number in range(1, rounds + 1):
        rates = {}
        for kind in KINDS:
            rates[kind], counted = run(setting, kind)
            seen = f", {counted:,} predictions counted meanwhile" if counted else ""
            console.print(f"round {number}: {kind:8}{rates[kind]:>10,.0f} events/s{seen}", highlight=False)
        yield rates


def main(events: int = 1_400_000, rows_per_batch: int = 200_000, partitions: int = 2, rounds: int = 3) -> None:
    """Measure, print and note the ratios in build/bench/drift.json."""
    console = Console()
    with stage(events, rows_per_batch, partitions, console) as (setting, version):
        without_profile(setting.settings("bench"), version)
        measured = list(measure(setting, rounds, console))
    report(measured, console)


def report(measured: list[dict[str, float]], console: Console) -> None:
    """Print the medians; a ratio is the median of each round's own."""
    ratios = {kind: statistics.median(rates[kind] / rates["bare"] for rates in measured) for kind in KINDS}
    table = Table(title=f"Watched for drift at {ratios['watched']:.2f} of the rate without")
    for title in ("", "events/s", "ratio"):
        table.add_column(title, justify="right" if title else "left")
    for kind, title in KINDS.items():
        rate = statistics.median(rates[kind] for rates in measured)
        table.add_row(title, f"{rate:,.0f}", f"{ratios[kind]:.3f}")
    console.print(table)
    summary = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    rounds = [{kind: round(rate) for kind, rate in rates.items()} for rates in measured]
    summary |= {"overhead_ratio": round(ratios["watched"], 3), "overhead": {"ratios": ratios, "rounds": rounds}}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
