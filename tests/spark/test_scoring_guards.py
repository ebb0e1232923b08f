"""Values on which a pipeline throws are known by value: exactly those on which pyspark's own transform throws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import (
    Bucketizer,
    Imputer,
    OneHotEncoder,
    QuantileDiscretizer,
    RFormula,
    StringIndexer,
    VectorAssembler,
    VectorIndexer,
)
from pyspark.ml.regression import DecisionTreeRegressor, LinearRegression
from pyspark.sql import SparkSession

from streaming.events import columns as c
from streaming.models.signature import Column, ColumnType, Signature
from streaming.scoring.compiled.saved import read_stages
from streaming.scoring.saved_stages import saved_guards
from tests.support.models import load, package
from tests.support.records import records_frame, verdict_text
from tests.support.seeds import names_with_seeds

TRAINING = [(1.0 + i % 3, 1 + i % 4, "pq"[i % 2], float(i % 7)) for i in range(60)]
SCHEMA = "x double, n long, word string, label double"


def assembled(*names: str, into: str = "features") -> VectorAssembler:
    return VectorAssembler(inputCols=list(names), outputCol=into)


def bucketed(column: str, splits: list[float], invalid: str = "error") -> list[Any]:
    stage = Bucketizer(inputCol=column, outputCol="b", splits=splits, handleInvalid=invalid)
    # Kept, a null's bucket is null.
    return [stage, assembled("b").setHandleInvalid(invalid)]


def several_bucketed(*splits: list[float]) -> list[Any]:
    made = [f"b{i}" for i in range(len(splits))]
    stage = Bucketizer(inputCols=["n", "x"][-len(splits) :], outputCols=made, splitsArray=list(splits))
    return [stage, assembled(*made)]


def quantiles() -> list[Any]:
    stage = QuantileDiscretizer(inputCols=["n", "x"], outputCols=["p", "q"], numBucketsArray=[2, 3])
    return [stage, assembled("p", "q")]


def encoded(invalid: str = "error") -> list[Any]:
    return [
        OneHotEncoder(inputCols=["n"], outputCols=["v"], handleInvalid=invalid),
        assembled("v", "x").setHandleInvalid(invalid),
    ]


def vector_indexed(*names: str) -> list[Any]:
    return [assembled(*names, into="v"), VectorIndexer(inputCol="v", outputCol="features", maxCategories=5)]


def indexed_with_words() -> list[Any]:
    words = StringIndexer(inputCol="word", outputCol="w")
    return [words, *vector_indexed("w", "x")]


def imputed_then_bucketed() -> list[Any]:
    return [Imputer(inputCols=["x"], outputCols=["X"]), *bucketed("x", [-9.0, 1.5, 99.0])]


VALUES: dict[str, tuple[Any, ...]] = {
    "x": (-0.0, 0.0, 0.5, 1.0, 2.5, 3.0, 9.0, 9.5, None),
    "n": (-1, 0, 1, 4, 5, 9, 10, None),
    "word": ("p", "q", "", None),
}
CASES: dict[str, tuple[str, Callable[[], list[Any]]]] = {
    "a bucketizer's": ("x", lambda: bucketed("x", [0.0, 1.5, 9.0])),
    "a bucketizer's that begins below zero": ("x", lambda: bucketed("x", [-0.0, 1.5, 9.0])),
    "a bucketizer's that keeps NaN": ("x", lambda: bucketed("x", [0.5, 1.5, 9.0], "keep")),
    "a bucketizer's of whole numbers": ("n", lambda: bucketed("n", [0.5, 1.5, 9.0])),
    "one of several buckets'": ("x", lambda: several_bucketed([0.5, 2.0, 20.0], [0.5, 1.5, 9.0])),
    "several buckets' of one column": ("x", lambda: several_bucketed([0.5, 1.5, 9.0])),
    "a quantile discretizer's": ("n", quantiles),
    "a one-hot encoder's": ("n", encoded),
    "a one-hot encoder's that keeps others": ("n", lambda: encoded("keep")),
    "a vector indexer's": ("x", lambda: vector_indexed("x")),
    "a vector indexer's beside an index": ("x", indexed_with_words),
    "a vector indexer's of whole numbers": ("n", lambda: vector_indexed("x", "n")),
    "a formula's": ("word", lambda: [RFormula(formula="label ~ word + x")]),
    "a bucketizer's behind an imputer": ("x", imputed_then_bucketed),
}
SEEDS = {
    "a bucketizer's that begins below zero",
    "a one-hot encoder's",
}
ROWS = pa.schema({"x": pa.float64(), "n": pa.int64(), "word": pa.string()})
TYPES: dict[str, ColumnType] = {"x": "double", "n": "long", "word": "string"}
SIGNATURE = Signature(tuple(Column(name, kind, required=False) for name, kind in TYPES.items()))


@pytest.mark.parametrize("case", names_with_seeds(CASES, SEEDS))
def test_an_event_is_rejected_by_value_where_pyspark_throws_on_a_value_of(
    case: str, spark: SparkSession, tmp_path: Path
) -> None:
    column, stages = CASES[case]
    learner = LinearRegression() if case.startswith("a formula") else DecisionTreeRegressor()
    model = Pipeline(stages=[*stages(), learner]).fit(spark.createDataFrame(TRAINING, SCHEMA).coalesce(1))
    made = package(model, tmp_path, signature=SIGNATURE)
    version = load(spark, made)
    assert version.scorer.is_proven
    if not case.startswith("a formula"):  # which has no compiled form
        assert saved_guards(read_stages(made.pipeline_dir), SIGNATURE) == version.decoder.guards
    # A zero that was never seen throws or not, by how Spark stores the vector; a guard cannot know.
    values = [value for value in VALUES[column] if value != 0 or "vector indexer" not in case]
    rows = [{"x": 2.0, "n": 1, "word": "p", column: value} for value in values]
    # The rejected ones are there, too, and not one makes the pipeline throw.
    results = version.score(records_frame(spark, [event(row) for row in rows])).collect()
    served = [row for row, result in zip(rows, results, strict=True) if verdict_text(result) is None]
    answers = [result[c.PREDICTION] for result in results if verdict_text(result) is None]
    assert answers == predictions(spark, model, served)
    assert served
    for row in rows:
        if row not in served:
            with pytest.raises((PySparkException, Py4JJavaError)):
                predictions(spark, model, [row])


def event(row: dict[str, Any]) -> bytes:
    return json.dumps({"event_id": "e", "event_time": "2013-01-01T05:15:00Z", **row}).encode()


def predictions(spark: SparkSession, model: PipelineModel, rows: list[dict[str, Any]]) -> list[float]:
    """What pyspark gives."""
    # By way of Arrow the rows are local, and Spark scores them without a job, whose failed tasks it would try again.
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, ROWS))
    return [float(row["prediction"]) for row in model.transform(frame).select("prediction").collect()]
