"""Loading a pipeline, refusing an unsafe one, and scoring with any kind of model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import Imputer, OneHotEncoder, SQLTransformer, VectorAssembler
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from structlog.testing import capture_logs

from streaming.engines.attempt import attempt
from streaming.engines.isolate import isolate, isolate_by_halves
from streaming.errors import CandidateRefusedError, TooManyThrowingRowsError
from streaming.events import columns as c
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from streaming.offsets import OffsetRange
from streaming.scoring.pipeline import SparkPipeline
from tests.support.engine import event
from tests.support.models import (
    Shelf,
    Unlucky,
    assembler,
    copied,
    fit_bounded,
    fit_pipeline,
    fit_stages,
    load,
    package,
    retyped,
)

RECORD = (
    "key binary, value binary, headers array<struct<key string, value binary>>, partition int, offset long,"
    " timestamp timestamp"
)


def records(spark: SparkSession, *values: bytes) -> DataFrame:
    moment = datetime(2013, 7, 1)  # noqa: DTZ001 - naive, in the session's UTC
    return spark.createDataFrame([(None, v, None, 0, i, moment) for i, v in enumerate(values)], RECORD)


def scored(spark: SparkSession, model: ServedModel, *values: bytes) -> list[Row]:
    return model.score(records(spark, *values)).collect()


def skipping(spark: SparkSession) -> PipelineModel:
    return fit_pipeline(spark, handle_invalid="skip")


def with_sql(spark: SparkSession) -> PipelineModel:
    return fit_stages(spark, SQLTransformer(statement="SELECT * FROM __THIS__"), assembler(), LogisticRegression())


def without_prediction(spark: SparkSession) -> PipelineModel:
    return fit_stages(spark, assembler())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(skipping, "UNSAFE_PLAN", id="skips rows"),
        pytest.param(with_sql, "STAGE_NOT_ALLOWED", id="runs its own SQL", marks=pytest.mark.long),
        pytest.param(without_prediction, "NO_PREDICTION", id="predicts nothing"),
    ],
)
def test_an_unsafe_pipeline_is_refused(
    make: Callable[[SparkSession], PipelineModel], reason: str, spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(CandidateRefusedError) as caught:
        load(spark, package(make(spark), tmp_path))
    assert caught.value.reason.name == reason


def test_a_class_that_is_not_sparks_own_is_refused_before_it_is_loaded(
    spark: SparkSession, shelf: Shelf, tmp_path: Path
) -> None:
    made = copied(shelf.package(fit_pipeline), tmp_path)
    part = next((tmp_path / "sparkml" / "stages").glob("0_*/metadata/part-*"))
    metadata = json.loads(part.read_text())
    part.write_text(json.dumps({**metadata, "class": "com.example.Surprise"}))
    with pytest.raises(CandidateRefusedError, match=r"com\.example\.Surprise"):
        load(spark, made)


def golden(prediction: float, probability: tuple[float, ...] = ()) -> GoldenRows:
    return GoldenRows((GoldenRow({"carrier": "UA", "distance": 99, "gust": None}, prediction, probability),))


def test_golden_rows_decide_whether_a_version_gives_here_what_it_gave_at_training(
    spark: SparkSession, shelf: Shelf
) -> None:
    made = shelf.package(fit_pipeline)
    good = scored(spark, shelf.model(fit_pipeline), event(99))[0]
    rows = golden(good[c.PREDICTION], tuple(good[c.PROBABILITY]))
    assert load(spark, _with(made, golden=rows)).version.version == 1
    with pytest.raises(CandidateRefusedError, match="GOLDEN_ROW_FAILED"):
        load(spark, _with(made, golden=golden(1.0 - good[c.PREDICTION])))


def _with(made: ModelPackage, **changes: Any) -> ModelPackage:
    return replace(made, **changes)


@pytest.mark.long
def test_rows_that_throw_outside_of_the_jvm_are_found_by_halves(spark: SparkSession, shelf: Shelf) -> None:
    thrower = retyped(shelf.model(fit_pipeline), Unlucky)
    frame = records(spark, event(1), event(13))
    assert isolate(frame, thrower, {0: OffsetRange(0, 2)}, most=1) == ((0, 1),)
    assert isolate_by_halves(frame, thrower, {0: OffsetRange(0, 2)}, most=1) == ((0, 1),)
    with pytest.raises(TooManyThrowingRowsError, match="more than 0 rows"):
        isolate_by_halves(frame, thrower, {0: OffsetRange(0, 2)}, most=0)


def fit_on_whole_numbers(spark: SparkSession) -> PipelineModel:
    """Fit an encoder of distances 0 to 3, behind a stage that hides them from the guards."""
    rows = [(float(i % 4), float(i % 4 > 1)) for i in range(40)]
    stages: list[Any] = [
        Imputer(inputCols=["distance"], outputCols=["filled"]),
        OneHotEncoder(inputCols=["filled"], outputCols=["vector"]),
        VectorAssembler(inputCols=["vector"], outputCol="features"),
        LogisticRegression(labelCol="label"),
    ]
    return Pipeline(stages=stages).fit(spark.createDataFrame(rows, "distance double, label double"))


@dataclass(frozen=True)
class ThrowsAside(SparkPipeline):
    """A real pipeline with a column that throws for every row, and that nothing reads, so that Spark leaves it out."""

    def transform(self, frame: DataFrame) -> DataFrame:
        return super().transform(frame).withColumn("aside", F.raise_error(F.lit("aside")))


@dataclass(frozen=True)
class Fails(SparkPipeline):
    """A real pipeline that throws in its prediction and gives the same value to two columns."""

    def transform(self, frame: DataFrame) -> DataFrame:
        odd = F.when(F.col("distance") % 2 == 1, F.raise_error(F.lit("odd"))).otherwise(F.col("distance"))
        return super().transform(frame.withColumns({"distance": odd.cast("double"), "again": odd.cast("double")}))


@pytest.mark.parametrize(
    ("fitted", "kind", "throws"),
    [
        pytest.param(
            fit_bounded, SparkPipeline, range(91, 96), id="a bucket of a computed column", marks=pytest.mark.long
        ),
        pytest.param(
            fit_on_whole_numbers,
            SparkPipeline,
            range(4, 96),
            id="a category beyond the encoder's",
            marks=pytest.mark.long,
        ),
        pytest.param(fit_pipeline, Fails, range(1, 96, 2), id="one value in two columns"),
        pytest.param(fit_pipeline, ThrowsAside, (), id="a column that nothing reads"),
    ],
)
def test_throwing_rows_are_found_by_jobs_that_do_not_fail(
    fitted: Callable[[SparkSession], PipelineModel],
    kind: type[SparkPipeline],
    throws: Sequence[int],
    spark: SparkSession,
    shelf: Shelf,
    tmp_path: Path,
) -> None:
    model = retyped(shelf.model(fitted), kind)
    frame = records(spark, *(event(i) for i in range(96)))
    spark.sparkContext.setJobGroup(str(tmp_path), "the search for rows that throw")
    try:
        assert isolate(frame, model, {0: OffsetRange(0, 96)}, most=96) == tuple((0, i) for i in throws)
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]  # none any more
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(str(tmp_path))]
    assert 1 <= len(jobs) <= 2, "the rows are not searched one by one"
    assert {job.status for job in jobs if job} == {"SUCCEEDED"}


@pytest.mark.long
def test_the_pipelines_own_words_are_said_once_with_the_number_of_rows(spark: SparkSession, shelf: Shelf) -> None:
    model = shelf.model(fit_bounded)
    frame, ranges = records(spark, *(event(i) for i in range(96))), {0: OffsetRange(0, 96)}

    def run(safe: ServedModel) -> int:
        return len(safe.score(frame).collect())

    with capture_logs() as lines:
        assert attempt(run, model, lambda: isolate(frame, model, ranges, most=5)) == 96
    (line,) = lines
    assert (line["event"], line["model"], line["rows"]) == ("pipeline throws on rows", "tiny v1", 5)
    assert "out of Bucketizer bounds" in line["cause"]
    with pytest.raises(
        TooManyThrowingRowsError, match=r"^tiny v1 throws on more than 4 rows .*out of Bucketizer bounds"
    ):
        attempt(run, model, lambda: isolate(frame, model, ranges, most=4))


@pytest.mark.long
def test_a_signature_column_that_no_stage_reads_does_no_harm(spark: SparkSession, tmp_path: Path) -> None:
    wide = Signature((Column("distance", "double"), Column("unused", "string", required=False)))
    made = package(fit_stages(spark, assembler(), LogisticRegression()), tmp_path, signature=wide)
    (row,) = scored(spark, load(spark, made), event(99, carrier=...))
    assert row[c.PREDICTION] == 1.0
