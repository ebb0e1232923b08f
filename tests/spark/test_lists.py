"""Columns that are lists of numbers, as Spark's pipelines and tables have them: vectors and arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.spark
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import MinMaxScaler, VectorAssembler
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.events.table import TableDecoder
from streaming.models.cache import CachedModel
from streaming.models.digest import tree_digest
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelVersion
from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings, ModelSettings
from tests.support.models import load, package
from tests.support.records import records_frame, verdict_text
from tests.support.versions import SPARK

POINTS = np.random.default_rng(2).normal(size=(60, 3))


SIGNATURE = Signature((Column(name="point", type="double", length=3, is_vector=True), Column("gust", "double")))


def fitted(spark: SparkSession) -> tuple[PipelineModel, DataFrame]:
    """Return a pipeline that reads a vector, and what it reads."""
    rows = [(Vectors.dense(point.tolist()), float(i % 5), float(point[0] > 0)) for i, point in enumerate(POINTS)]
    frame = spark.createDataFrame(rows, ["point", "gust", "late"]).coalesce(1)
    stages: list[Any] = [
        MinMaxScaler(inputCol="point", outputCol="scaled"),
        VectorAssembler(inputCols=["scaled", "gust", "point"], outputCol="features"),
        LogisticRegression(labelCol="late", maxIter=4),
    ]
    return Pipeline(stages=stages).fit(frame), frame.select("point", "gust")


@pytest.mark.long
def test_the_signature_that_mlflow_infers_of_a_vector_is_read(spark: SparkSession, tmp_path: Path) -> None:
    model, read = fitted(spark)
    # As lists, because MLflow writes no vectors as an example.
    example = pd.DataFrame({"point": POINTS[:3].tolist(), "gust": [0.0, 1.0, 2.0]})
    root = tmp_path / "model"
    mlflow.spark.save_model(
        model, str(root), signature=infer_signature(read), input_example=example, pip_requirements=[]
    )
    cached = CachedModel(root, ModelVersion("points", 1, "run1"), tree_digest(root))
    assert PackageReader(ModelSettings(), SPARK).read(cached, ["spark"]).signature == SIGNATURE


def event(point: Any, gust: Any = 1.0) -> bytes:
    return json.dumps({"event_id": "e", "event_time": "2013-01-01T05:15:00Z", "point": point, "gust": gust}).encode()


def test_a_pipeline_that_reads_a_vector_is_given_the_lists_of_events_in_both_forms(
    spark: SparkSession, tmp_path: Path
) -> None:
    made = package(fitted(spark)[0], tmp_path / "model", signature=SIGNATURE)
    served = load(spark, made, scorer="auto")
    assert served.choice.kind == "compiled", served.choice.why
    good = [event(point.tolist(), i / 7) for i, point in enumerate(POINTS)]
    bad = [event([1.0, 2.0]), event([1.0, None, 2.0]), event([1.0, "2", 3.0]), event(None), event([1.0] * 3, None)]
    answers = [model.score(records_frame(spark, [*good, *bad])).collect() for model in (served, served.reference)]
    for rows in answers:
        assert [verdict_text(row) for row in rows[len(good) :]] == [
            "WRONG_SHAPE:point",
            "WRONG_SHAPE:point",
            "WRONG_TYPE:point",
            "MISSING_FIELD:point",
            "MISSING_FIELD:gust",
        ]
    compiled, by_spark = ([row[c.PROBABILITY] for row in rows[: len(good)]] for rows in answers)
    np.testing.assert_allclose(compiled, by_spark, rtol=1e-12)
    assert [row["point"] for row in answers[1][: len(good)]] == POINTS.tolist()


def test_a_tables_arrays_and_vectors_are_lists(spark: SparkSession) -> None:
    signature = Signature(
        (
            Column(name="v", type="double", length=2, is_vector=True),
            Column(name="a", type="float", length=2),
            Column(name="n", type="long", required=False, length=1),
        )
    )
    rows = [
        (Vectors.dense([1.0, 2.0]), [1.5, 2.5], [7]),
        (Vectors.sparse(2, [1], [3.0]), [1.0, 0.1], None),
        (Vectors.dense([1.0]), [1.0, 2.0], [7]),
        (Vectors.dense([1.0, 2.0]), [1.0, None], [7]),
        (Vectors.dense([1.0, float("nan")]), [1.0, 2.0], [7]),
        (Vectors.dense([1.0, 2.0]), [1.0, 1e39], [7]),
        (None, [1.0, 2.0], [7]),
        (Vectors.dense([1.0, 2.0]), [1.0, 2.0], [7, 8]),
    ]
    table = spark.createDataFrame(rows, ["v", "a", "n"]).withColumn("n", F.col("n").cast("array<int>"))
    safe = {"v": [0.0, 0.0], "a": [0.0, 0.0], "n": [0]}
    decoder = TableDecoder(signature, EventSettings(id=None, time=None), safe, table.schema)
    decoded = decoder(table).collect()
    assert [row[c.VERDICT] and verdict_text(row) for row in decoded] == [
        None,
        None,
        "WRONG_SHAPE:v",
        "WRONG_SHAPE:a",
        "NON_FINITE:v",
        "NON_FINITE:a",
        "MISSING_FIELD:v",
        "WRONG_SHAPE:n",
    ]
    assert (decoded[0]["v"], decoded[0]["a"], decoded[0]["n"]) == ([1.0, 2.0], [1.5, 2.5], [7])
    assert (decoded[1]["v"], decoded[1]["a"][1], decoded[1]["n"]) == ([0.0, 3.0], float(np.float32(0.1)), None)


@pytest.mark.parametrize(
    ("kind", "says"),
    [("array<string>", r"x is array<string> and the model reads \[2\] of double"), ("double", "x is double and")],
)
def test_a_tables_column_that_is_no_list_of_numbers_is_refused(spark: SparkSession, kind: str, says: str) -> None:
    signature = Signature((Column(name="x", type="double", length=2),))
    schema = spark.createDataFrame([], f"x {kind}").schema
    with pytest.raises(ConfigurationError, match=says):
        TableDecoder(signature, EventSettings(id=None, time=None), {"x": [0.0, 0.0]}, schema)
