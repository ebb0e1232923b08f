"""The contract of scorers: the same columns, answers, failures and proofs, whatever computes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import ElementwiseProduct, Imputer, IndexToString, StringIndexer
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import LinearRegression
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from streaming.engines.isolate import isolate
from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.models.package import ModelPackage
from streaming.models.profile import NULL_BIN, OTHER_BIN, ColumnProfile, ReferenceProfile
from streaming.models.seams import FrameScorer
from streaming.models.served import ServedModel
from streaming.models.signature import Signature
from streaming.offsets import OffsetRange
from streaming.outputs.envelope import Stamp, envelop
from tests.support import flavours
from tests.support.engine import event
from tests.support.models import (
    SIGNATURE,
    UNGUARDED,
    assembler,
    compiled,
    fit_bounded,
    fit_pipeline,
    fit_stages,
    fit_unguarded,
    load,
    package,
    training,
)
from tests.support.records import records_frame, verdict_text
from tests.support.seeds import names_with_seeds, with_seeds

SCORERS: dict[str, Callable[[SparkSession, ModelPackage], ServedModel]] = {
    "Spark's own": load,
    "compiled": compiled,
    # Where nothing is known on which the pipeline does not throw, this is Spark's own.
    "in one pass": partial(load, scorer="auto"),
}
BEFORE = {
    c.KEY: "binary",
    c.VALUE: "binary",
    c.HEADERS: "array<struct<key:string,value:binary>>",
    c.PARTITION: "int",
    c.OFFSET: "bigint",
    c.TIMESTAMP: "timestamp",
    c.EVENT_ID: "string",
    c.EVENT_TIME: "timestamp",
    c.SUBJECT: "string",
}
AFTER = {
    c.PREDICTION: "double",
    c.PROBABILITY: "array<double>",
    c.LABEL: "string",
    c.CONFIDENCE: "double",
    c.VERDICT: "struct<reason:string,field:string>",
    c.BINS: "binary",
}
"""The columns of a scored event, but for the features between these."""
NUMBERS = Signature(SIGNATURE.columns[1:])


def labelled(spark: SparkSession) -> PipelineModel:
    words = StringIndexer(inputCol="word", outputCol="target").fit(training(spark))
    fitted = fit_stages(spark, words, assembler(), LogisticRegression(labelCol="target"))
    decode = IndexToString(inputCol="prediction", outputCol="answer", labels=words.labels)
    return PipelineModel([*fitted.stages[1:], decode])


def growing(spark: SparkSession) -> PipelineModel:
    """A regressor that overflows for a large distance."""
    product = ElementwiseProduct(scalingVec=Vectors.dense([1e10]), inputCol="features", outputCol="scaled")
    return fit_stages(spark, assembler(), product, LinearRegression(featuresCol="scaled"))


def filling(spark: SparkSession) -> PipelineModel:
    return fit_stages(
        spark, Imputer(inputCols=["distance"], outputCols=["distance"]), assembler(), LogisticRegression()
    )


def boosted(_: SparkSession) -> lightgbm.Booster:
    """A booster of LightGBM's, which knows no carrier."""
    rows = [[float(i), float("nan") if i % 5 else 1.0] for i in range(100)]
    data = lightgbm.Dataset(np.array(rows), [float(i > 50) for i in range(100)], feature_name=list(NUMBERS.names))
    return lightgbm.train({"objective": "binary", "verbose": -1, "min_data_in_leaf": 5}, data, num_boost_round=3)


Made = PipelineModel | lightgbm.Booster
PIPELINES: dict[str, Callable[[SparkSession], PipelineModel]] = {
    "classifier": lambda spark: fit_stages(spark, assembler(), LogisticRegression()),
    "forest": lambda spark: fit_stages(spark, assembler(), RandomForestClassifier(numTrees=3)),
    "regressor": lambda spark: fit_stages(spark, assembler(), LinearRegression(predictionCol="guess")),
    "clusterer": lambda spark: fit_stages(spark, assembler(), KMeans(k=2, seed=1)),
    "nested pipeline": lambda spark: PipelineModel([fit_stages(spark, assembler(), LogisticRegression())]),
    "encoded text": fit_pipeline,
}
KINDS: dict[str, Callable[[SparkSession], Made]] = {**PIPELINES, "booster": boosted}
SEEDS = {"regressor", "encoded text"}
WITHOUT_PROBABILITY = {"regressor", "clusterer"}
Serve = Callable[..., ServedModel]


IN_FRAMES = "compiled"
"""No engine scores so."""


@pytest.fixture(
    scope="module",
    params=with_seeds(SCORERS, set(SCORERS) - {IN_FRAMES}),
)
def serve(request: pytest.FixtureRequest, spark: SparkSession, saved: Callable[..., ModelPackage]) -> Serve:
    """Serve what a function fits by the scorer in question; loaded once for all tests where nothing is changed."""

    @cache
    def unchanged(fit: Callable[[SparkSession], PipelineModel]) -> ServedModel:
        served: ServedModel = request.param(spark, saved(fit))
        return served

    def serve_it(fit: Callable[[SparkSession], PipelineModel], **changes: Any) -> ServedModel:
        return request.param(spark, replace(saved(fit), **changes)) if changes else unchanged(fit)

    return serve_it


@pytest.fixture(scope="module")
def saved(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelPackage]:
    """Fit and save each pipeline once for all scorers."""
    packages: dict[Callable[[SparkSession], Made], ModelPackage] = {}

    def made(fit: Callable[[SparkSession], Made]) -> ModelPackage:
        model, folder = fit(spark), tmp_path_factory.mktemp("model")
        if isinstance(model, PipelineModel):
            return package(model, folder)
        return flavours.described(flavours.saved("lightgbm", model, folder / "model", NUMBERS))

    def package_of(fit: Callable[[SparkSession], Made]) -> ModelPackage:
        if fit not in packages:
            packages[fit] = made(fit)
        return packages[fit]

    return package_of


def seed_of(scorer: str) -> pytest.MarkDecorator:
    """Serve a test's models by one scorer in ``make test``; by the others, the test is long."""
    return pytest.mark.parametrize("serve", with_seeds(SCORERS, {scorer}), indirect=True)


def scored(spark: SparkSession, model: ServedModel, *values: bytes) -> list[Row]:
    return model.score(records_frame(spark, values)).collect()


@pytest.mark.parametrize("kind", names_with_seeds(KINDS, {"encoded text"}))
def test_a_scored_event_has_the_columns_and_types_of_every_other(kind: str, serve: Serve, spark: SparkSession) -> None:
    model = serve(KINDS[kind])
    schema = model.score(records_frame(spark, [])).schema
    features = {column.name: column.type for column in model.package.signature.columns}
    columns = {**BEFORE, **features, **AFTER}
    assert [(field.name, field.dataType.simpleString()) for field in schema] == list(columns.items())


@pytest.mark.parametrize("kind", names_with_seeds(PIPELINES, SEEDS))
def test_any_kind_of_model_answers_as_pyspark_does(kind: str, serve: Serve, spark: SparkSession) -> None:
    model = serve(PIPELINES[kind])
    *rows, broken = scored(spark, model, event(1), event(49), event(99), b"{")
    assert [verdict_text(row) for row in (*rows, broken)] == [None, None, None, "MALFORMED_JSON"]
    saved = PipelineModel.load(str(model.package.pipeline_dir))
    events = spark.createDataFrame([("UA", 1.0), ("UA", 49.0), ("UA", 99.0)], "carrier string, distance double")
    expected = saved.transform(events).collect()
    column = "guess" if kind == "regressor" else "prediction"
    assert [row[c.PREDICTION] for row in rows] == pytest.approx([row[column] for row in expected], rel=1e-14)
    assert rows[0][c.PREDICTION] != rows[2][c.PREDICTION]
    if kind in WITHOUT_PROBABILITY:
        assert {(row[c.PROBABILITY], row[c.CONFIDENCE]) for row in rows} == {(None, None)}
    else:
        for row, answer in zip(rows, expected, strict=True):
            assert row[c.PROBABILITY] == pytest.approx(list(answer["probability"]), rel=1e-13)
            assert row[c.CONFIDENCE] == max(row[c.PROBABILITY])


def test_events_stay_in_their_partition_and_order_with_what_the_record_brought(
    serve: Serve, spark: SparkSession
) -> None:
    values = [event(i) if i % 3 else b"{" for i in range(40)]
    frame = records_frame(spark, values).repartition(3).cache()
    model, at = serve(fit_pipeline), F.spark_partition_id().alias("at")
    names = ["key", "value", "headers", "partition", "offset", "timestamp"]
    before = [tuple(row) for row in frame.select(*names, at).collect()]
    after = [tuple(row) for row in model.score(frame).select(*c.SOURCE, at).collect()]
    assert after == before
    frame.unpersist()


@pytest.mark.long
def test_a_decoded_class_comes_out_as_the_label(serve: Serve, spark: SparkSession) -> None:
    low, high = scored(spark, serve(labelled), event(1), event(99))
    assert (low[c.LABEL], high[c.LABEL]) == ("fine", "late")


@pytest.mark.long
def test_a_feature_that_a_stage_overwrites_comes_out_as_it_was_read(serve: Serve, spark: SparkSession) -> None:
    optional = Signature(tuple(replace(column, required=False) for column in SIGNATURE.columns))
    (row,) = scored(spark, serve(filling, signature=optional), event(1, distance=None))
    assert (verdict_text(row), row["distance"]) == (None, None)
    assert row[c.PREDICTION] is not None


@seed_of("in one pass")
def test_a_prediction_that_is_not_finite_is_none(serve: Serve, spark: SparkSession) -> None:
    good, overflown = scored(spark, serve(growing), event(1), event(2, distance=1e300))
    assert (verdict_text(good), verdict_text(overflown)) == (None, "INVALID_PREDICTION")


@seed_of("Spark's own")
def test_a_profiled_version_gives_each_row_its_bins(serve: Serve, spark: SparkSession) -> None:
    profile = ReferenceProfile(
        (
            ColumnProfile("distance", "numeric", {}, edges=(10.0, 50.0)),
            ColumnProfile("carrier", "categorical", {}, categories=("AA",)),
            ColumnProfile("gust", "numeric", {}, edges=(1.0,)),
            ColumnProfile("prediction", "numeric", {}, edges=(0.5,)),
        ),
        rows=100,
    )
    low, high = scored(spark, serve(fit_pipeline, profile=profile), event(5, carrier="AA"), event(99, gust=0.5))
    assert low[c.BINS] == bytes([0, 0, NULL_BIN, 0])
    assert high[c.BINS] == bytes([2, OTHER_BIN, 0, 1])


@pytest.mark.parametrize("kind", names_with_seeds(KINDS, SEEDS))
def test_the_envelope_is_the_contract(kind: str, serve: Serve, spark: SparkSession) -> None:
    contract = json.loads(Path("schemas/contracts/prediction.json").read_text())
    model = serve(KINDS[kind])
    stamp = Stamp("features", model.version, "champion", "2026-01-01T00:00:00.000Z")
    (row,) = envelop(model.score(records_frame(spark, [event(7)])), stamp).collect()
    Draft202012Validator(contract).validate(json.loads(row["value"]))


@seed_of("in one pass")
def test_rows_that_it_throws_on_are_found(serve: Serve, spark: SparkSession) -> None:
    frame = records_frame(spark, [event(i) for i in range(88, 93)])
    assert isolate(frame, serve(fit_bounded), {0: OffsetRange(0, 5)}, most=5) == ((0, 3), (0, 4))


@seed_of("in one pass")
def test_a_scorer_is_proven_by_an_event_and_by_none_that_it_throws_on(serve: Serve) -> None:
    scorer: FrameScorer = serve(fit_unguarded, signature=UNGUARDED).scorer
    assert not scorer.is_proven
    assert scorer.tried({"x": 4.0}).is_proven
    with pytest.raises(ScoringError):
        scorer.tried({"x": 99.0})
