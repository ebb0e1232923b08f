"""Foreign pipelines, stage by stage: they answer as pyspark's own transform does, to the bit, in every engine."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import (
    DCT,
    ElementwiseProduct,
    Imputer,
    Normalizer,
    PolynomialExpansion,
    RFormula,
    StringIndexer,
    VectorAssembler,
)
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import DecisionTreeRegressor, LinearRegression
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from streaming.engines.live_plan import check_live
from streaming.events import columns as c
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from tests.support.models import load, package
from tests.support.records import records_frame, verdict_text
from tests.support.seeds import with_seeds

SCHEMA = "a double, b double, n long, word string"
COLUMNS = Signature(
    (Column("a", "double", False), Column("b", "double"), Column("n", "long"), Column("word", "string"))
)
ROWS: list[tuple[float | None, float, int, str]] = [
    (None if i % 7 == 3 else i * 0.37, (i * i % 11) / 3, i % 4, "xyz"[i % 3]) for i in range(40)
]


def training(spark: SparkSession) -> DataFrame:
    rows = [(*row, float(i % 5) + row[1], float(i % 2)) for i, row in enumerate(ROWS)]
    return spark.createDataFrame(rows, f"{SCHEMA}, label double, late double")


def assembled(*names: str, into: str = "features") -> VectorAssembler:
    return VectorAssembler(inputCols=list(names), outputCol=into)


def imputed(*names: str) -> Imputer:
    return Imputer(inputCols=list(names), outputCols=list(names))


def joining(*sizeless: Any) -> list[Any]:
    """Join a vector of known size, made by the first stage, after ``sizeless`` ones have turned ``v`` into ``p``."""
    return [imputed("a"), assembled("a", "b", into="v"), *sizeless, assembled("p", "n"), LinearRegression()]


def two_sizeless() -> list[Any]:
    return joining(PolynomialExpansion(inputCol="v", outputCol="q"), Normalizer(inputCol="q", outputCol="p"))


def sizeless_in_formula() -> list[Any]:
    expanded = [assembled("b", "n", into="v"), PolynomialExpansion(inputCol="v", outputCol="p")]
    return [*expanded, RFormula(formula="label ~ p + word + b:n"), LinearRegression()]


def several_in_place() -> list[Any]:
    filled = [imputed("a", "b"), assembled("a", "b", into="v"), imputed("a")]
    return [*filled, assembled("v", "a"), DecisionTreeRegressor(maxDepth=4)]


def nested_in_place() -> list[Any]:
    inner = Pipeline(stages=[imputed("a"), StringIndexer(inputCol="word", outputCol="w")])
    return [inner, assembled("a", "w"), KMeans(k=3, seed=1)]


PIPELINES: dict[str, Callable[[], list[Any]]] = {
    "joins a polynomial's vector": lambda: joining(PolynomialExpansion(inputCol="v", outputCol="p")),
    "joins a cosine transform": lambda: joining(DCT(inputCol="v", outputCol="p")),
    "joins a product": lambda: joining(
        ElementwiseProduct(scalingVec=Vectors.dense([2.0, 0.3]), inputCol="v", outputCol="p")
    ),
    "joins a polynomial's vector that another stage changed": two_sizeless,
    "joins a polynomial's vector within a formula": sizeless_in_formula,
    "fills its input column": lambda: [imputed("a"), assembled("a", "b"), LinearRegression()],
    "fills several columns, one of them twice": several_in_place,
    "fills its input column under another case": lambda: [
        Imputer(inputCols=["a"], outputCols=["A"]),
        assembled("A", "b"),
        LinearRegression(),
    ],
    "is nested and fills its input column": nested_in_place,
    "gives probabilities": lambda: [imputed("a"), assembled("a", "b"), LogisticRegression(labelCol="late")],
}


SEEDS = {"joins a polynomial's vector that another stage changed"}


def served(spark: SparkSession, stages: Sequence[Any], folder: Path) -> tuple[PipelineModel, ServedModel]:
    model = Pipeline(stages=list(stages)).fit(training(spark))
    return model, load(spark, package(model, folder, signature=COLUMNS))


def events(spark: SparkSession) -> DataFrame:
    names = COLUMNS.names
    values = [
        json.dumps({"event_id": str(i), "event_time": "2013-01-01T05:15:00Z", **dict(zip(names, row, strict=True))})
        for i, row in enumerate(ROWS)
    ]
    return records_frame(spark, [value.encode() for value in values])


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


@pytest.mark.parametrize("stages", with_seeds(PIPELINES, SEEDS))
def test_a_pipeline_answers_as_pysparks_transform_in_one_job_and_over_a_stream_where_it(
    stages: Callable[[], list[Any]], spark: SparkSession, tmp_path: Path
) -> None:
    model, version = served(spark, stages(), tmp_path)
    expected = model.transform(spark.createDataFrame(ROWS, SCHEMA)).collect()
    counted = Observation()
    observed = events(spark).observe(counted, F.count(F.lit(1)).alias("rows"))
    results = version.score(observed).collect()
    assert [verdict_text(row) for row in results] == [None] * len(ROWS)
    assert [bits(row[c.PREDICTION]) for row in results] == [bits(row["prediction"]) for row in expected]
    if "probability" in expected[0]:
        assert [row[c.PROBABILITY] for row in results] == [list(row["probability"]) for row in expected]
    # The features of a prediction are those of its event, whatever the pipeline made of them.
    assert [tuple(row[name] for name in COLUMNS.names) for row in results] == ROWS
    # A look at a row, when the plan is made, would be the job that is counted, and is impossible in a stream.
    assert counted.get == {"rows": len(ROWS)}
    check_live(spark, version)
