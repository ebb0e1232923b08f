from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.errors import ConfigurationError
from streaming.settings import TrainSettings
from streaming.training.dataset import LABEL, TIME, Dataset, fingerprint, load_dataset
from streaming.training.split import time_split
from tests.support.rides import ride_settings, rides


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "rides.parquet"
    rides().to_parquet(path, coerce_timestamps="us")
    return str(path)


@pytest.fixture(scope="module")
def dataset(spark: SparkSession, parquet: str) -> Dataset:
    return load_dataset(spark, ride_settings(data=parquet))


def test_columns_with_nulls_and_those_marked_are_optional(spark: SparkSession, parquet: str) -> None:
    dataset = load_dataset(spark, ride_settings(data=parquet, categorical=("city", "sky?")))
    required = {column.name: column.required for column in dataset.signature.columns}
    assert required == {"km": True, "seats": True, "humidity": False, "city": True, "sky": False}
    assert [column.type for column in dataset.signature.columns] == ["double", "long", "double", "string", "string"]


def test_csv_gives_the_same_rows_as_parquet(spark: SparkSession, dataset: Dataset, tmp_path: Path) -> None:
    rides().to_csv(tmp_path / "rides.csv", index=False)
    read = load_dataset(spark, ride_settings(data=str(tmp_path / "rides.csv")))
    assert fingerprint(read).rows == fingerprint(dataset).rows == 400
    assert read.frame.agg(F.sum("km"), F.sum(LABEL)).first() == dataset.frame.agg(F.sum("km"), F.sum(LABEL)).first()


def test_a_csv_row_goes_on_in_the_next_line_inside_quotes(spark: SparkSession, tmp_path: Path) -> None:
    table = rides().assign(city=lambda t: t["city"] + ',\n"' + t["city"] + '"')
    table.to_csv(tmp_path / "rides.csv", index=False)
    frame = load_dataset(spark, ride_settings(data=str(tmp_path / "rides.csv"))).frame
    assert sorted(row.city for row in frame.select("city").collect()) == sorted(table["city"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda text: text.replace(b",NYC", b',"NYC', 1), "cannot be read as .*CSV", id="an open quote"),
        pytest.param(lambda text: text + b"1,2\n", "cannot be read as .*CSV", id="a row that is too short"),
        pytest.param(lambda text: text.replace(b"NYC", b"Z\xfcri", 1), "not UTF-8 in city", id="Latin-1"),
    ],
)
def test_csv_that_is_damaged_is_refused_and_nothing_is_learned_from_it(
    spark: SparkSession, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "rides.csv"
    rides().assign(city="NYC").to_csv(path, index=False)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigurationError, match=message):
        load_dataset(spark, ride_settings(data=str(path)))


def test_a_column_that_only_a_later_file_has_is_read(spark: SparkSession, tmp_path: Path) -> None:
    rides(100).drop(columns="humidity").to_parquet(tmp_path / "a.parquet", coerce_timestamps="us")
    rides(100).assign(humidity=50.0).to_parquet(tmp_path / "b.parquet", coerce_timestamps="us")
    dataset = load_dataset(spark, ride_settings(data=str(tmp_path)))
    assert dataset.frame.where("humidity = 50").count() == 100
    assert {column.name: column.required for column in dataset.signature.columns}["humidity"] is False


def test_the_digest_knows_the_content_and_not_the_order(dataset: Dataset) -> None:
    def digest(changed: Dataset) -> str:
        return fingerprint(changed).digest

    def with_frame(frame: object) -> Dataset:
        return Dataset(frame, dataset.numeric, dataset.categorical, dataset.signature, "x")  # type: ignore[arg-type]

    frame = dataset.frame
    assert digest(with_frame(frame.repartition(5).orderBy(F.desc("km")))) == digest(dataset)
    assert digest(with_frame(frame.withColumn("km", F.col("km") + F.lit(0.01)))) != digest(dataset)
    assert digest(with_frame(frame.union(frame.limit(1)))) != digest(dataset)


def test_a_time_range_takes_its_start_and_leaves_its_end(spark: SparkSession, parquet: str) -> None:
    settings = ride_settings(data=parquet, from_time="2024-01-01T01:00", to_time="2024-01-01T03:00:00Z")
    content = fingerprint(load_dataset(spark, settings))
    assert (content.rows, content.first.hour, content.last.hour, content.last.minute) == (120, 1, 2, 59)


def test_a_row_whose_label_is_not_known_yet_is_left_out(spark: SparkSession, tmp_path: Path) -> None:
    table = rides(100).assign(cancelled=lambda t: t["cancelled"].astype("float").where(t.index < 90))
    table.to_parquet(tmp_path / "r.parquet", coerce_timestamps="us")
    assert load_dataset(spark, ride_settings(data=str(tmp_path / "r.parquet"))).frame.count() == 90


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"data": "/nowhere/at/all.parquet"}, "cannot be read as Parquet or CSV", id="no file"),
        pytest.param({"label": "late"}, "has no column late; it has ride, at", id="no label"),
        pytest.param({"numeric": ("miles?",)}, "has no column miles", id="no feature"),
        pytest.param({"numeric": (), "categorical": ()}, "no features are named", id="no features"),
        pytest.param({"numeric": ("at",)}, "cast it to double or string", id="a time as a feature"),
        pytest.param({"from_time": "yesterday"}, "'yesterday' is not a time", id="no time"),
    ],
)
def test_what_does_not_fit_is_said(spark: SparkSession, parquet: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_dataset(spark, ride_settings(**{"data": parquet, **changes}))


def test_an_empty_range_is_said(spark: SparkSession, parquet: str) -> None:
    with pytest.raises(ConfigurationError, match="no labelled row in the chosen time range"):
        fingerprint(load_dataset(spark, ride_settings(data=parquet, from_time="2030-01-01")))


@pytest.mark.long
def test_the_flights_come_with_their_signature_and_without_cancelled_ones(spark: SparkSession) -> None:
    dataset = load_dataset(spark, TrainSettings(from_time="2013-02-08", to_time="2013-02-10"))
    types = dict(dataset.frame.dtypes)
    assert {types["hour"], types["temp"], types["carrier"], types[LABEL]} == {"int", "double", "string"}
    assert dataset.frame.where(f"{LABEL} is null or isnan(temp)").isEmpty()
    assert not dataset.frame.where("wind_gust is null").isEmpty()


@pytest.mark.parametrize(
    "fraction", [pytest.param(0.1, marks=pytest.mark.long), 0.25, pytest.param(0.5, marks=pytest.mark.long)]
)
def test_validation_is_later_than_training(dataset: Dataset, fraction: float) -> None:
    split = time_split(dataset.frame, fraction)
    last = split.train.agg(F.max(TIME)).collect()[0][0]
    first = split.validation.agg(F.min(TIME)).collect()[0][0]
    assert last < first
    assert split.train.count() + split.validation.count() == 400
    assert abs(split.validation.count() - 400 * fraction) <= 2
    assert split.classes == 2


@pytest.mark.parametrize(
    ("label", "message"),
    [
        pytest.param("0.0", "has 1 class", id="one class"),
        pytest.param("0.5", "whole numbers", id="not a class"),
        pytest.param("-1.0", "whole numbers", id="negative"),
        pytest.param("cast(unix_seconds(penstock_time) - 1704067200 as double)", "whole numbers", id="a measurement"),
    ],
)
def test_a_label_that_cannot_be_learned_is_refused(dataset: Dataset, label: str, message: str) -> None:
    frame = dataset.frame.withColumn(LABEL, F.expr(label))
    with pytest.raises(ConfigurationError, match=message):
        time_split(frame, 0.2)
