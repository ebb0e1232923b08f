from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from schemas.drift import State
from streaming.drift.decision import ColumnRules, DetectionRules, WindowCounts, WindowJudge
from streaming.errors import ConfigurationError
from streaming.models.golden import GoldenRows
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, RARE_BIN, ColumnProfile, ReferenceProfile
from streaming.scoring.bins import bin_of
from streaming.scoring.plan import check_plan
from streaming.statistics.ranking import Ranking
from streaming.training.dataset import LABEL, TIME, Dataset, load_dataset
from streaming.training.evaluate import evaluate
from streaming.training.golden import UNSEEN, golden_rows
from streaming.training.pipeline import build_classifier, build_pipeline
from streaming.training.profile import Timing, build_profile, with_confidence
from tests.support.rides import ride_settings, rides
from tests.support.seeds import names_with_seeds


@pytest.fixture(scope="module")
def dataset(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "rides.parquet"
    rides().to_parquet(path, coerce_timestamps="us")
    loaded = load_dataset(spark, ride_settings(data=str(path)))
    loaded.frame.cache()
    return loaded


@pytest.fixture(scope="module")
def model(dataset: Dataset) -> PipelineModel:
    return build_pipeline(dataset, ride_settings()).fit(dataset.frame)


@pytest.fixture(scope="module")
def scored(model: PipelineModel, dataset: Dataset) -> DataFrame:
    return with_confidence(model.transform(dataset.frame)).cache()


@pytest.fixture(scope="module")
def profile(scored: DataFrame, dataset: Dataset) -> ReferenceProfile:
    return build_profile(scored, dataset.signature, 2)


ALGORITHMS = ("logistic_regression", "gradient_boosted_trees", "random_forest")


@pytest.mark.parametrize("algorithm", names_with_seeds(ALGORITHMS, {"logistic_regression"}))
def test_each_algorithm_learns_better_than_guessing(dataset: Dataset, algorithm: str) -> None:
    parameters = {} if algorithm == "logistic_regression" else {"maxDepth": 3}
    settings = ride_settings(algorithm=algorithm, parameters=parameters)
    predictions = build_pipeline(dataset, settings).fit(dataset.frame).transform(dataset.frame)
    metrics = evaluate(predictions, 2)
    assert set(metrics) == {"accuracy", "precision", "recall", "f1", "log_loss", "auc", "pr_auc"}
    assert metrics["auc"] > 0.7


def test_missing_numbers_and_new_categories_are_scored_and_no_row_is_lost(
    spark: SparkSession, model: PipelineModel, dataset: Dataset
) -> None:
    known = Row(km=3.0, seats=2, humidity=None, city="Bern", sky="sun")
    rows = [known, Row(km=3.0, seats=2, humidity=50.0, city="Zug", sky="snow")]
    frame = spark.createDataFrame(rows, dataset.frame.select(*dataset.signature.names).schema)
    result = model.transform(frame)
    check_plan(result)
    assert [0 <= row["probability"][1] <= 1 for row in result.collect()] == [True, True]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param({"maxItr": 5}, "maxItr is not a parameter of LogisticRegression; use .*maxIter", id="misspelt"),
        pytest.param({"maxIter": 2.5}, "which Spark refuses", id="not whole"),
    ],
)
def test_a_wrong_parameter_is_said(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_classifier(ride_settings(parameters=parameters))


def test_metrics_are_those_of_the_confusion_matrix(spark: SparkSession) -> None:
    from pyspark.ml.linalg import Vectors

    # Two right and one wrong of class 1 (one missed), one right of class 0.
    outcomes = [(1.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]
    rows = [(p, Vectors.dense([1 - p, p]), Vectors.dense([-p, p]), y) for p, y in outcomes]
    metrics = evaluate(spark.createDataFrame(rows, ["prediction", "probability", "rawPrediction", LABEL]), 2)
    assert metrics["accuracy"] == pytest.approx(3 / 5)
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    # Of the six pairs of a one and a zero, two are in order and three are tied. One step catches 2 of 3, the next all.
    assert metrics["auc"] == pytest.approx((2 + 3 / 2) / 6)
    assert metrics["pr_auc"] == pytest.approx(2 / 3 * 2 / 3 + 1 / 3 * 3 / 5)


@pytest.mark.long
def test_auc_and_pr_auc_are_those_of_the_probabilities(scored: DataFrame) -> None:
    rows = scored.select(vector_to_array(F.col("probability"))[1].alias("score"), LABEL).toPandas()
    score, true = rows["score"].to_numpy(), (rows[LABEL] == 1).to_numpy()
    expected = Ranking(score, true)(np.ones(len(rows)))
    metrics = evaluate(scored, 2)
    assert (metrics["auc"], metrics["pr_auc"]) == pytest.approx(expected, abs=1e-4)


def test_golden_rows_are_reproduced_by_the_saved_model_and_survive_their_file(
    spark: SparkSession, model: PipelineModel, dataset: Dataset, tmp_path: Path
) -> None:
    model.write().save((tmp_path / "m").as_uri())
    loaded = PipelineModel.load((tmp_path / "m").as_uri())
    expected = golden_rows(spark, loaded, dataset.frame, dataset.signature)
    assert GoldenRows.from_json(expected.to_json()) == expected
    assert golden_rows(spark, model, dataset.frame.repartition(3), dataset.signature) == expected
    assert any(row.features["city"] == UNSEEN for row in expected.rows)
    assert any(row.features["humidity"] is None for row in expected.rows)
    assert all(sum(row.probability) == pytest.approx(1) for row in expected.rows)


def test_every_row_falls_into_one_bin_of_every_column(profile: ReferenceProfile, dataset: Dataset) -> None:
    assert [c.name for c in profile.columns] == [*dataset.signature.names, "prediction", "confidence"]
    assert profile.rows == 400
    assert all(sum(column.counts.values()) == 400 for column in profile.columns)
    assert ReferenceProfile.from_json(profile.to_json()) == profile


def test_the_bins_are_deciles_and_categories_with_nulls_apart(profile: ReferenceProfile) -> None:
    columns = {column.name: column for column in profile.columns}
    km = columns["km"]
    assert len(km.edges) == 9 + 2
    assert sorted(km.counts) == list(range(1, 11)), "nothing of the reference is beyond its own ends"
    assert all(30 <= count <= 50 for count in km.counts.values())
    assert columns["humidity"].counts[NULL_BIN] == 58
    assert columns["city"].categories == ("Basel", "Bern", "Chur")
    assert columns["prediction"].edges == (1.0,)


def test_a_column_that_is_mostly_one_value_is_cut_in_its_tails(scored: DataFrame, dataset: Dataset) -> None:
    dry = scored.withColumn("km", F.when(scored["km"] > 18, scored["km"]).otherwise(0.0))
    columns = {column.name: column for column in build_profile(dry, dataset.signature, 2).columns}
    assert len(columns["km"].edges) >= 2


def test_a_number_s_bins_have_their_means_and_the_column_its_spread(
    scored: DataFrame, profile: ReferenceProfile
) -> None:
    km = next(column for column in profile.columns if column.name == "km")
    result = scored.agg(F.avg("km"), F.stddev_pop("km")).first()
    assert result is not None
    assert (km.mean, km.spread) == pytest.approx((result[0], result[1]))
    assert all(low <= centre < high for low, centre, high in zip(km.edges, km.centres[1:], km.edges[1:], strict=False))


def test_windows_are_counted_apart_and_answers_on_rows_the_model_was_not_fitted_on(
    scored: DataFrame, dataset: Dataset
) -> None:
    first, last = scored.agg(F.min(TIME), F.max(TIME)).first() or (None, None)
    assert first is not None
    cut = first + (last - first) / 2
    profile = build_profile(scored, dataset.signature, 2, Timing(TIME, 3600, cut))
    columns = {column.name: column for column in profile.columns}
    assert profile.window_seconds == 3600
    assert 1 < len(columns["km"].windows) <= 60
    assert all(sum(window.values()) <= 400 for window in columns["km"].windows)
    assert sum(columns["km"].counts.values()) == 400
    assert sum(columns["prediction"].counts.values()) == scored.where(F.col(TIME) >= F.lit(cut)).count()


@pytest.mark.long
def test_the_windows_of_a_long_reference_have_every_hour_of_the_day(scored: DataFrame, dataset: Dataset) -> None:
    """60 days of hours, where every 24th would be the same hour; a window's hour is what its rows have for a value."""
    hours = scored.sparkSession.range(60 * 24).select(
        F.timestamp_seconds(F.col("id") * 3600).alias(TIME), F.pmod("id", F.lit(24)).cast("int").alias("seats")
    )
    rows = scored.limit(1).drop(TIME, "seats").crossJoin(hours)
    profiles = [build_profile(rows.repartition(parts), dataset.signature, 2, Timing(TIME, 3600)) for parts in (1, 3)]
    seats = [column for profile in profiles for column in profile.columns if column.name == "seats"]
    assert seats[0] == seats[1], "the same rows give the same profile"
    assert len(seats[0].windows) == 60
    assert {position for window in seats[0].windows for position in window} == set(seats[0].counts)


def test_a_column_without_values_has_a_profile_that_windows_can_be_judged_by(
    scored: DataFrame, dataset: Dataset
) -> None:
    """A regressor has no confidence; a sensor may not have reported yet."""
    empty = scored.withColumn("confidence", F.lit(None).cast("double")).withColumn("km", F.lit(None).cast("double"))
    profile = ReferenceProfile.from_json(build_profile(empty, dataset.signature, None, Timing(TIME, 40 * 60)).to_json())
    window = WindowCounts(0, 2400, 400, 0, tuple(column.counts for column in profile.columns))
    verdicts = {
        one.column: one for one in WindowJudge(profile, DetectionRules(column=ColumnRules(min_rows=100))).judge(window)
    }
    assert {column.name: column.counts for column in profile.columns}["confidence"] == {NULL_BIN: 400}
    assert {one.state for one in verdicts.values()} == {State.STABLE}


@pytest.mark.long
@pytest.mark.parametrize("timed", [True, False], ids=["with windows", "without"])
def test_rare_values_are_listed_and_those_that_came_once_are_counted_as_new(
    scored: DataFrame, dataset: Dataset, timed: bool
) -> None:
    """80 cities by turns, a row a minute in windows of half an hour; two rows in a row are of a city of their own."""
    minute = (F.unix_seconds(F.date_trunc("minute", F.col(TIME))) / 60).cast("long")
    city = F.when(minute % 400 < 2, F.concat(F.lit("once "), minute % 400)).otherwise(
        F.concat(F.lit("city "), minute % 80)
    )
    twins = F.when((minute % 400).isin(60, 61), "twins").otherwise(city)
    rows = scored.withColumn("city", twins)
    profile = build_profile(rows, dataset.signature, 2, Timing(TIME, 1800) if timed else None)
    column = next(one for one in profile.columns if one.name == "city")
    counts = {row["city"]: row["count"] for row in rows.groupBy("city").count().collect()}
    assert ReferenceProfile.from_json(profile.to_json()) == profile
    assert len(column.categories) == 50
    assert {*column.categories, *column.rare} == set(counts)
    assert {"once 0", "once 1", "twins"} <= set(column.rare)
    new = ["once 0", "once 1", *(["twins"] if timed else [])]
    assert column.counts[OTHER_BIN] == sum(counts[name] for name in new)
    assert column.counts[RARE_BIN] == sum(counts[name] for name in column.rare if name not in new)
    assert sum(column.counts.values()) == 400


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("-1e300", 0, id="below all"),
        pytest.param("1.0", 1, id="on an edge"),
        pytest.param("2.5", 2, id="the last"),
        pytest.param("null", NULL_BIN, id="null"),
        pytest.param("'NaN'", NON_FINITE_BIN, id="NaN"),
        pytest.param("'-Infinity'", NON_FINITE_BIN, id="infinity"),
    ],
)
def test_a_number_has_its_bin(spark: SparkSession, value: str, expected: int) -> None:
    frame = spark.sql(f"select cast({value} as double) as x")
    profile = ColumnProfile("x", "numeric", {}, edges=(1.0, 2.0))
    assert frame.select(bin_of(frame["x"], profile)).collect()[0][0] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'a'", 0),
        ("'b'", 1),
        ("'r1'", RARE_BIN),
        ("'r30'", RARE_BIN),
        ("'zz'", OTHER_BIN),
        ("''", OTHER_BIN),
        ("cast(null as string)", NULL_BIN),
    ],
)
def test_a_category_has_its_bin(spark: SparkSession, value: str, expected: int) -> None:
    frame = spark.sql(f"select {value} as x")
    profile = ColumnProfile(
        "x", "categorical", {}, categories=("a", "b"), rare=tuple(f"r{number}" for number in range(40))
    )
    assert frame.select(bin_of(frame["x"], profile)).collect()[0][0] == expected
