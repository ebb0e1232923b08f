"""Files that are not alike read as one table: every value of every file, whatever the files are called."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from streaming.batch.csv_files import FAULT, RECORD
from streaming.batch.files import Format, list_files
from streaming.batch.needs import Needs
from streaming.batch.source import BatchSource
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.events.table import TableDecoder
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings
from tests.support.records import verdict_text

BARE = EventSettings(id=None, time=None)
SAFE: dict[str, Any] = {"string": "", "double": 0.0, "long": 0, "integer": 0, "boolean": False, "float": 0.0}


def signature(**model: ColumnType) -> Signature:
    return Signature(tuple(Column(name, kind, required=False) for name, kind in model.items()))


class Desk:
    """Reads everything below a folder, as a table or as a model would be given it."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.kind: Format = "parquet"
        self.envelope = BARE
        self.keep: Any = ()

    def parquet(self, name: str, **columns: Any) -> None:
        path = self.folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)

    def csv(self, name: str, text: str) -> None:
        self.kind = "csv"
        path = self.folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def source(self, **model: ColumnType) -> BatchSource:
        needs = Needs.of(signature(**model), self.envelope, self.keep)
        return BatchSource.of(self.spark, self.kind, list_files(self.folder), needs)

    def table(self, **model: ColumnType) -> list[dict[str, Any]]:
        source = self.source(**model)
        return [row.asDict() for row in source.read([*source.shapes]).collect()]

    def features(self, **model: ColumnType) -> list[tuple[Any, ...]]:
        source, columns = self.source(**model), signature(**model)
        safe = {column.name: SAFE[column.type] for column in columns.columns}
        decoder = TableDecoder(columns, self.envelope, safe, source.schema, folders=source.folders)
        frame = decoder(source.read([*source.shapes]))
        rows = frame.withColumn(c.EVENT_TIME, frame[c.EVENT_TIME].cast("string")).collect()
        return [tuple(verdict_text(row) or row[name] for name in model) for row in rows]


@pytest.fixture
def desk(spark: SparkSession, tmp_path: Path) -> Desk:
    return Desk(spark, tmp_path / "in")


def by_text(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=str)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["first", "last"])
def test_an_optional_column_is_read_wherever_its_file_stands(names: tuple[str, str], desk: Desk) -> None:
    desk.keep = "all"
    desk.parquet(names[0], store=["007"], n=[2])
    desk.parquet(names[1], store=["12"], km=[2.5], n=pa.array([3], pa.int32()), extra=["x"])
    assert by_text(desk.table(km="double", n="long", store="string")) == by_text(
        [
            {"store": "007", "km": None, "n": 2, "extra": None},
            {"store": "12", "km": 2.5, "n": 3, "extra": "x"},
        ]
    )


def narrowed(number: float, kind: pa.DataType) -> pa.Array:
    return pa.array([number]).cast(kind)


@pytest.mark.parametrize(
    ("arrays", "model", "expected"),
    [
        pytest.param(
            [pa.array([2], pa.int32()), pa.array([2**40])],
            "long",
            [2, 2**40],
            id="int and long",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [pa.array([2], pa.int8()), pa.array([3], pa.uint16())],
            "integer",
            [2, 3],
            id="bytes",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [narrowed(0.5, pa.float32()), pa.array([1e300])],
            "double",
            [0.5, 1e300],
            id="floats",
            marks=pytest.mark.long,
        ),
        pytest.param([pa.array([2], pa.int32()), pa.array([2.5])], "double", [2.0, 2.5], id="int and double"),
        pytest.param([pa.array([2**53 + 1]), pa.array([2.5])], "double", [2.0**53, 2.5], id="rounded by the model"),
        pytest.param([pa.array([2, None]), pa.array([3.0, 3.5])], "long", [2, None, 3, "WRONG_TYPE:x"], id="exact"),
        pytest.param([pa.nulls(1), pa.array([2.5])], "double", [None, 2.5], id="nothing but nulls"),
        pytest.param([pa.nulls(1), pa.nulls(2)], "string", [None, None, None], id="only nulls", marks=pytest.mark.long),
        pytest.param([pa.array([b"\xc3\xa9"]), pa.array(["x"])], "string", ["é", "x"], id="bytes that are text"),
        pytest.param([pa.array([b"\xe9"])], "string", ["WRONG_TYPE:x"], id="bytes that are no text"),
        pytest.param([pa.array([b"12"])], "long", [12], id="bytes of a number"),
    ],
)
def test_every_value_arrives_whatever_its_file_s_type(
    arrays: list[pa.Array], model: ColumnType, expected: list[Any], desk: Desk
) -> None:
    for position, array in enumerate(arrays):
        desk.parquet(str(position), x=array)
    assert by_text([value for (value,) in desk.features(x=model)]) == by_text(expected)


def test_the_values_of_folders_are_text_as_it_stands_and_what_the_model_reads(desk: Desk) -> None:
    for store, code in (("007", "00501"), ("12", "1.0"), ("a%3Ab", "__HIVE_DEFAULT_PARTITION__")):
        desk.parquet(f"store={store}/code={code}/a", km=[1.5])
    rows = by_text([(row["store"], row["code"]) for row in desk.table(store="string", code="double")])
    assert rows == by_text([("007", "00501"), ("12", "1.0"), ("a:b", None)])
    assert by_text(desk.features(store="string", code="double")) == by_text(
        [("007", 501.0), ("12", 1.0), ("a:b", None)]
    )


@pytest.mark.parametrize(
    ("folder", "time_format", "moment"),
    [
        pytest.param("2026-01-02", "iso8601", "2026-01-02 00:00:00", marks=pytest.mark.long),
        ("2026-01-02 03%3A04%3A05", "iso8601", "2026-01-02 03:04:05"),
        ("1372655700000", "epoch_ms", "2013-07-01 05:15:00"),
        ("2026-13-01", "iso8601", "BAD_EVENT_TIME:day"),
    ],
)
def test_a_folder_names_a_day_or_a_time(folder: str, time_format: str, moment: str, desk: Desk) -> None:
    desk.csv(f"day={folder}/a", "km\n1.5\n")
    desk.envelope = EventSettings.model_validate({"id": None, "time": "day", "time_format": time_format})
    source = desk.source()
    decoder = TableDecoder(Signature(()), desk.envelope, {}, source.schema, folders=source.folders)
    frame = decoder(source.read([*source.shapes]))
    (row,) = frame.withColumn(c.EVENT_TIME, frame[c.EVENT_TIME].cast("string")).collect()
    assert (verdict_text(row) or row[c.EVENT_TIME]) == moment


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        pytest.param(pa.timestamp("ns", "UTC"), "2026-01-01 00:00:00.000001", id="of a zone"),
        pytest.param(pa.timestamp("ns"), "1969-12-31 23:59:59.999999", id="before 1970"),
    ],
)
def test_nanoseconds_are_cut_to_microseconds(kind: pa.DataType, moment: str, desk: Desk) -> None:
    nanos = 1_767_225_600_000_001_999 if kind.tz else -1
    desk.parquet("a", seen=pa.array([nanos, None], pa.int64()).cast(kind))
    desk.parquet("b", seen=pa.array([datetime(2026, 1, 1)], pa.timestamp("us", kind.tz)))  # noqa: DTZ001
    desk.envelope = EventSettings(id=None, time="seen")
    source = desk.source()
    decoder = TableDecoder(Signature(()), desk.envelope, {}, source.schema)
    frame = decoder(source.read([*source.shapes]))
    rows = frame.withColumn(c.EVENT_TIME, frame[c.EVENT_TIME].cast("string")).collect()
    assert {verdict_text(row) or row[c.EVENT_TIME] for row in rows} == {
        moment,
        "MISSING_FIELD:seen",
        "2026-01-01 00:00:00",
    }


def test_a_parquet_column_that_spark_cannot_read_stops_only_who_reads_it(desk: Desk) -> None:
    desk.parquet("a", km=[1.5], at=pa.array([5], pa.time32("ms")))
    assert desk.table(km="double") == [{"km": 1.5}]
    desk.keep = ("at",)
    with pytest.raises(ConfigurationError, match=r"at of \S+/a\.parquet is time32\[ms\], which Spark cannot read"):
        desk.source(km="double")


@pytest.mark.long
def test_csv_files_are_read_by_their_headers_names(desk: Desk) -> None:
    desk.csv("a", "store,km,n\n007,1.5,2\n")
    desk.csv("b", "n,more,store\n3,x,12\n")
    desk.csv("c", "")
    desk.csv("n=7/d", "store,n,km\n13,8,9.5\n")
    rows = [(row["store"], row["km"], row["n"], row["more"]) for row in desk.table(km="double", n="long")]
    assert by_text(rows) == by_text([("007", "1.5", "2", None), ("12", None, "3", "x"), ("13", "9.5", "7", None)])
    assert all(row[FAULT] is None for row in desk.table(km="double"))


def test_a_csv_column_without_a_name_and_a_byte_order_mark_do_no_harm(desk: Desk) -> None:
    desk.csv("a", ",km,n\n0,1.5,2\n")
    desk.csv("b", "\ufeffkm,n\n2.5,3\n")
    rows = [(row["_c0"], row["km"], row["n"], row[FAULT]) for row in desk.table(km="double", n="long")]
    assert by_text(rows) == by_text([("0", "1.5", "2", None), (None, "2.5", "3", None)])


def test_csv_columns_that_nothing_reads_may_have_one_name(desk: Desk) -> None:
    desk.csv("a", "km,note,Note,note\n1.5,a,b,c\n")
    assert desk.table(km="double") == [{FAULT: None, RECORD: None, "km": "1.5"}]
    with pytest.raises(ConfigurationError, match=r"the columns note and Note of \S+/a\.csv differ only in case"):
        desk.source(note="string")


def test_an_input_of_empty_files_is_no_rows(desk: Desk) -> None:
    desk.csv("a", "")
    source = desk.source()
    assert source.read([str(desk.folder / "a.csv")]).collect() == []


def test_a_file_that_is_written_by_spark_is_read_with_the_types_that_it_had(desk: Desk, spark: SparkSession) -> None:
    frame = spark.sql("SELECT 1S AS short, timestamp_ntz'2026-01-01 00:00:00' AS at, array(1, 2) AS list")
    frame.write.parquet(f"file://{desk.folder}")
    assert desk.source().schema.simpleString() == "struct<short:smallint,at:timestamp_ntz,list:array<int>>"
