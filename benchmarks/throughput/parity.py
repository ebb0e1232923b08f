"""The compiled form beside Spark's own transform on a whole year of flights, for three kinds of models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.throughput.setting import Setting
from jobs.verbs.train.run import train_version
from jobs.wiring.following import registry
from streaming.events import columns as c
from streaming.models.arrow_types import feature_schema
from streaming.scoring.compiled.scorer import load_scorer
from streaming.training.flights import FEATURES, SIGNATURE, between
from streaming.training.pipeline import CLASSIFIERS

_BATCH = 10_000
_ROW = "row"


@dataclass(frozen=True)
class Difference:
    """How many of ``events`` have another class, and the largest difference of a probability beside its size."""

    events: int
    label_mismatches: int
    max_relative_difference: float


def differences(setting: Setting, spark: SparkSession) -> dict[str, Difference]:
    """Train a model of each kind on a quarter, and compare its two forms on all departures of the year."""
    events = pa.Table.from_pandas(between(None, None)[list(FEATURES)], feature_schema(SIGNATURE), preserve_index=False)
    pq.write_table(events.append_column(_ROW, pa.array(range(events.num_rows))), setting.folder / "year.parquet")
    file = setting.folder / "year.parquet"
    return {kind: compare(spark, events, file, _trained(setting, spark, kind)) for kind in CLASSIFIERS}


def compare(spark: SparkSession, events: pa.Table, file: Path, pipeline: Path) -> Difference:
    """Score the events, which ``file`` has with their numbers, by a saved pipeline's two forms."""
    scored = PipelineModel.load(f"file://{pipeline}").transform(spark.read.parquet(f"file://{file}"))
    probability = vector_to_array(F.col("probability")).alias("probability")
    expected = scored.select(_ROW, "prediction", probability).sort(_ROW).toArrow()
    scorer = load_scorer(pipeline, feature_schema(SIGNATURE))
    answers = pa.Table.from_batches([scorer.score(batch) for batch in events.to_batches(_BATCH)])
    ours, theirs = _numbers(answers.column(c.PROBABILITY)), _numbers(expected.column("probability"))
    relative = np.abs(ours - theirs) / np.maximum(np.abs(theirs), np.finfo(np.float64).tiny)
    mismatches = answers.column(c.PREDICTION).to_numpy() != expected.column("prediction").to_numpy()
    return Difference(events.num_rows, int(mismatches.sum()), float(relative.max()))


def _trained(setting: Setting, spark: SparkSession, kind: str) -> Path:
    settings = setting.settings("parity")
    train = settings.train.model_copy(update={"to_time": "2013-04-01", "algorithm": kind})
    model = settings.model.model_copy(update={"name": f"parity-{kind}"})
    version = train_version(settings.model_copy(update={"train": train, "model": model}), spark, lambda _: None).version
    folder = setting.folder / f"parity-{kind}"
    folder.mkdir()
    registry(settings.model).download(version, folder)
    return folder / "sparkml"


def _numbers(lists: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = lists.combine_chunks().flatten().to_numpy()
    return numbers
