"""Batch scoring beside plain ``PipelineModel.transform`` and MLflow's ``spark_udf``: one model, the same columns.

The rows are the demonstration's flights, over and over with new ids. What Penstock does more is in its time: digests,
validation, counts, the move of the finished files. The three run in turn, several times, in one Spark session, after a
round that is left out, in which the JVM compiles. A spark_udf scores a part of the rows, as it would take an hour
for all. ``make bench-batch`` runs it and writes build/bench/batch.json.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import mlflow.pyfunc
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.ml.wrapper import JavaParams
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.scratch import scratch_folder
from jobs.verbs.batch.options import BatchOptions
from jobs.verbs.batch.run import Work, loaded, look
from jobs.verbs.train.run import train_version
from jobs.wiring.mlflow_client import prepare_mlflow
from streaming.adapters.session import SessionPlan, start_session
from streaming.batch.columns import SCORED
from streaming.batch.publish import publish
from streaming.batch.run import ProgressReporter, score_units
from streaming.batch.staging import Staging
from streaming.clock import system_clock
from streaming.local.processes import free_port
from streaming.local.tracking import start_tracking_server
from streaming.scoring.pipeline import SparkPipeline
from streaming.settings import Settings
from streaming.training.flights import FEATURES, SIGNATURE, between

KINDS = ("penstock", "transform", "spark_udf")
FILES = 8
RISK = {"low": 0.0, "medium": 0.3, "high": 0.7}
_ARROW = {"string": pa.string(), "integer": pa.int32(), "double": pa.float64()}


@dataclass(frozen=True)
class Setting:
    """One benchmark: a loaded model, the rows for each kind, and where everything is."""

    work: Work
    spark: SparkSession
    folder: Path
    rows: dict[str, int]
    tracking_uri: str

    @property
    def inputs(self) -> Path:
        return self.folder / "in"

    @property
    def fewer(self) -> Path:
        return self.folder / "fewer"


def run_penstock(setting: Setting, out: Path) -> None:
    work = setting.work
    files = work.request.paths.listing.digested()
    plan = replace(work.plan, batch=uuid4().hex, files=files)
    targets = replace(work.request.paths.targets, scored=out, rejected=out.with_suffix(".rejected"))
    staging = Staging.open(out, plan.batch)
    staging.begin(plan)
    counts = score_units(
        plan, staging, work.scorers[0], work.request.version, ProgressReporter(system_clock, lambda _: None)
    )
    publish(staging, targets, len(plan.units), {"batch": plan.batch})
    staging.remove()
    if counts.scored != setting.rows["penstock"]:
        sys.exit(f"{counts.scored} rows were scored and {counts.rejected} rejected")


def run_transform(setting: Setting, out: Path) -> None:
    scorer = setting.work.scorers[0].model.scorer
    assert isinstance(scorer, SparkPipeline)
    model = PipelineModel([JavaParams._from_java(stage) for stage in scorer.stages])
    scored = model.transform(setting.spark.read.parquet(str(setting.inputs)))
    probability = vector_to_array(F.col("probability"))
    with_probability = scored.withColumn("given", probability)
    _write(with_probability, F.col("prediction"), F.col("given"), setting, out)


def run_spark_udf(setting: Setting, out: Path) -> None:
    version = setting.work.request.version
    predict = mlflow.pyfunc.spark_udf(
        setting.spark, f"models:/{version.name}/{version.version}", result_type="double", env_manager="local"
    )
    rows = setting.spark.read.parquet(str(setting.fewer))
    scored = rows.withColumn("predicted", predict(F.struct(*FEATURES)))
    # It gives the prediction alone; what hangs on the probability is null.
    _write(scored, F.col("predicted"), F.lit(None).cast("array<double>"), setting, out)


def _write(frame: DataFrame, prediction: Column, probability: Column, setting: Setting, out: Path) -> None:
    positive = F.get(probability, F.lit(1))
    risk = F.when(F.lit(False), F.lit(""))
    for name, least in reversed(RISK.items()):
        risk = risk.when(positive >= least, F.lit(name))
    version = setting.work.request.version
    columns = {
        "event_id": F.col("event_id"),
        "prediction": prediction,
        "label": F.lit(None).cast("string"),
        "probability": probability,
        "confidence": F.array_max(probability),
        "risk_category": risk,
        "model_name": F.lit(version.name),
        "model_version": F.lit(version.version).cast("long"),
        "batch_id": F.lit("bench"),
        "predicted_at": F.lit(system_clock()).cast("timestamp"),
    }
    frame.select(*(columns[name].alias(name) for name in SCORED)).write.parquet(out.as_uri())


RUN: dict[str, Callable[[Setting, Path], None]] = {
    "penstock": run_penstock,
    "transform": run_transform,
    "spark_udf": run_spark_udf,
}


def make_rows(folder: Path, rows: int) -> None:
    """Write so many departures to files of about the same size, each with an id of its own."""
    folder.mkdir(parents=True)
    table = between(None, None)
    schema = pa.schema(
        [("event_id", pa.string()), ("event_time", pa.timestamp("us", "UTC"))]
        + [(column.name, _ARROW[column.type]) for column in SIGNATURE.columns]
    )
    per_file = -(-rows // FILES)
    for number in range(FILES):
        own_rows = range(number * per_file, min(rows, (number + 1) * per_file))
        part = table.iloc[[row % len(table) for row in own_rows]]
        part = part.assign(event_id=[f"{own_rows[at]}-{name}" for at, name in enumerate(part["event_id"])])
        pq.write_table(_typed(part, schema), folder / f"{number}.parquet")


def _typed(part: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pandas(part[schema.names], schema, preserve_index=False)


def measure(setting: Setting, rounds: int, console: Console) -> list[dict[str, float]]:
    """Return each round's rates in rows per second; round 0 warms up and is left out."""
    measured = []
    for number in range(rounds + 1):
        rates = {}
        for kind in KINDS:
            out = setting.folder / f"{kind}-{number}"
            began = time.monotonic()
            RUN[kind](setting, out)
            rates[kind] = setting.rows[kind] / (time.monotonic() - began)
            shutil.rmtree(out)
            console.print(f"round {number}: {kind:10}{rates[kind]:>10,.0f} rows/s", highlight=False)
        measured.append(rates)
    return measured[1:]


def main(rows: int = 1_010_328, udf_rows: int = 50_000, rounds: int = 3) -> None:
    """Measure, print and write build/bench/batch.json."""
    console = Console()
    prepare_mlflow()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with scratch_folder("batch") as folder:
        make_rows(folder / "in", rows)
        make_rows(folder / "fewer", udf_rows)
        with start_tracking_server(folder / "mlflow", free_port(), os.environ) as server:
            server.wait_ready()
            mlflow.set_tracking_uri(server.address)
            settings = Settings.model_validate(
                {
                    "model": {"tracking_uri": server.address, "cache_dir": str(folder / "models")},
                    "train": {"to_time": "2013-04-01", "alias": "champion"},
                    "batch": {"risk": RISK},
                }
            )
            spark = start_session(SessionPlan("bench-batch", conf={"spark.driver.memory": "4g"}))
            try:
                train_version(settings, spark, lambda step: console.print(f"- {step}"))
                request = look(settings, BatchOptions(str(folder / "in"), str(folder / "out"), name="bench"))
                with loaded(request, spark) as work:
                    counts = {"penstock": rows, "transform": rows, "spark_udf": udf_rows}
                    measured = measure(Setting(work, spark, folder, counts, server.address), rounds, console)
            finally:
                spark.stop()
    report(measured, {"rows": rows, "spark_udf_rows": udf_rows}, console)


def report(measured: list[dict[str, float]], sizes: dict[str, int], console: Console) -> None:
    """Print the medians and write them; a ratio is the median of each round's own."""
    median = {kind: statistics.median(rates[kind] for rates in measured) for kind in KINDS}
    ratio = {kind: statistics.median(rates["penstock"] / rates[kind] for rates in measured) for kind in KINDS[1:]}
    result = {f"{kind}_rps": round(median[kind]) for kind in KINDS} | {
        "ratio_to_transform": round(ratio["transform"], 3),
        "ratio_to_spark_udf": round(ratio["spark_udf"], 1),
        "rounds": [{kind: round(rate) for kind, rate in rates.items()} for rates in measured],
        **sizes,
        "cores": os.cpu_count(),
    }
    table = Table(title=f"Batch at {ratio['transform']:.2f} of plain transform, {ratio['spark_udf']:.0f} of spark_udf")
    table.add_column("")
    table.add_column("rows/s", justify="right")
    for kind, text in zip(KINDS, ("penstock batch", "PipelineModel.transform", "mlflow's spark_udf"), strict=True):
        table.add_row(text, f"{median[kind]:,.0f}")
    console.print(table)
    target = Path("build/bench/batch.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
