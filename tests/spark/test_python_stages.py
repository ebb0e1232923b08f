"""A pipeline with a stage of one's own in Python: refused as what it is, before and after the advice for jars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.ml import Pipeline, PipelineModel, Transformer
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import EventSettings
from tests.support.models import package


class AddOne(Transformer, DefaultParamsReadable, DefaultParamsWritable):  # type: ignore[type-arg]  # none at runtime
    def _transform(self, dataset: DataFrame) -> DataFrame:
        return dataset.withColumn("x", F.col("x") + 1)


def fitted(spark: SparkSession, own: Transformer | Pipeline) -> PipelineModel:
    rows = spark.createDataFrame([(float(i), float(i > 5)) for i in range(10)], "x double, label double")
    assembler = VectorAssembler(inputCols=["x"], outputCol="features")
    return Pipeline(stages=[own, assembler, LogisticRegression()]).fit(rows)


def outermost(spark: SparkSession) -> PipelineModel:
    return fitted(spark, AddOne())


def nested(spark: SparkSession) -> PipelineModel:
    return fitted(spark, Pipeline(stages=[AddOne()]))


@pytest.mark.parametrize("make", [outermost, pytest.param(nested, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "listed",
    [
        pytest.param((), id="unlisted", marks=pytest.mark.long),
        pytest.param((f"{__name__}.AddOne",), id="listed"),
        pytest.param((f"{__name__}.AddOne", "com.example.Other"), id="listed with others", marks=pytest.mark.long),
    ],
)
def test_a_stage_in_python_is_refused_as_what_it_is(
    make: Callable[[SparkSession], PipelineModel], listed: tuple[str, ...], spark: SparkSession, tmp_path: Path
) -> None:
    made = package(make(spark), tmp_path)
    loader = SparkPipelineLoader(spark, EventSettings(), 1024 * 1024, listed)
    with pytest.raises(CandidateRefusedError, match=r"STAGE_NOT_ALLOWED: .*Python class.*cannot be served"):
        loader.load(made, f"file://{made.pipeline_dir}")
