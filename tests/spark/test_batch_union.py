"""The columns of several files put together, without a row of them being read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NullType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from streaming.batch.faults import unreadable
from streaming.batch.files import InputFile
from streaming.batch.footers import footer_shapes, holds_exact_doubles
from streaming.batch.needs import Needs
from streaming.batch.plan import Unit
from streaming.batch.shapes import FileColumn, FileShape, folder_columns
from streaming.batch.union import Table, unite
from streaming.batch.widening import common
from streaming.errors import ConfigurationError
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings

BARE = EventSettings(id=None, time=None)
LONG, DOUBLE, TEXT = LongType(), DoubleType(), StringType()
KINDS: list[DataType | None] = [
    *(BooleanType(), ByteType(), IntegerType(), LONG, FloatType(), DOUBLE, DecimalType(10, 2)),
    *(TEXT, BinaryType(), DateType(), TimestampType(), NullType(), None),
]


def needs(optional: str = "", keep: Any = (), **model: ColumnType) -> Needs:
    columns = tuple(Column(name, kind, name not in optional.split()) for name, kind in model.items())
    return Needs.of(Signature(columns), BARE, keep)


def shape(*folders: str, **columns: DataType | None) -> FileShape:
    made = (FileColumn(name, kind, kind.simpleString() if kind else "odd") for name, kind in columns.items())
    return FileShape(tuple(made), dict.fromkeys(folders))


def kinds(table: Table) -> dict[str, DataType]:
    return {field.name: field.dataType for field in table.schema.fields}


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        pytest.param([ByteType(), IntegerType(), ShortType()], IntegerType(), id="whole numbers"),
        pytest.param([IntegerType(), LONG], LONG, id="int and long"),
        pytest.param([FloatType(), DOUBLE], DOUBLE, id="fractions"),
        pytest.param([IntegerType(), FloatType()], DOUBLE, id="a float has not the digits of an int"),
        pytest.param([LONG, DOUBLE], None, id="a double has not the digits of a long"),
        pytest.param([DecimalType(10, 2), DecimalType(8, 4)], DecimalType(12, 4), id="decimals"),
        pytest.param([DecimalType(10, 2), LONG], DecimalType(21, 2), id="a decimal and a long"),
        pytest.param([DecimalType(38, 2), DecimalType(38, 10)], None, id="too many digits"),
        pytest.param([DateType(), TimestampNTZType()], TimestampType(), id="instants"),
        pytest.param([TEXT, BinaryType()], BinaryType(), id="text with and without its annotation"),
        pytest.param([TEXT, LONG], None, id="text and numbers"),
        pytest.param([BooleanType(), IntegerType()], None, id="truth and numbers"),
    ],
)
def test_types_are_widened_only_where_every_value_stays_what_it_is(
    types: list[DataType], expected: DataType | None
) -> None:
    assert common(types) == common(types[::-1]) == expected


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["x", "y", "z", "Z"]), st.sampled_from(KINDS), min_size=1),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_files_decides_neither_the_columns_nor_what_is_refused(
    columns: list[dict[str, DataType | None]], chance: Any
) -> None:
    shapes = {f"f{number}": shape(**each) for number, each in enumerate(columns)}
    shuffled = list(shapes.items())
    chance.shuffle(shuffled)

    def outcome(shapes: Mapping[str, FileShape]) -> object:
        try:
            table = unite(shapes, needs(x="double", optional="x", keep=("y",)))
        except ConfigurationError:
            return "refused"
        return {name.lower(): kind for name, kind in kinds(table).items()}

    assert outcome(shapes) == outcome(dict(shuffled))


def test_a_column_that_only_some_files_have_is_read_from_them_and_told_of() -> None:
    table = unite({"a": shape(n=LONG), "b": shape(km=DOUBLE, n=LONG)}, needs(km="double", n="long", optional="km"))
    assert kinds(table) == {"n": LONG, "km": DOUBLE}
    assert table.differences == (
        "a has no column km; it is null there",
        "1 of 2 files have columns in another order, which does no harm; first b",
    )


@pytest.mark.parametrize(
    ("second", "message"),
    [
        pytest.param(shape(n=LONG), "b has no column km, which every row must have", id="absent"),
        pytest.param(shape(n=LONG, km=TEXT), "km is double in a and string in b, .* the model reads double", id="text"),
        pytest.param(shape(n=DOUBLE, km=DOUBLE), "n is bigint in a and double in b, .* reads long", id="not exact"),
        pytest.param(shape(n=LONG, KM=DOUBLE), "KM of b and km of a differ only in case", id="case"),
        pytest.param(shape(n=LONG, km=DOUBLE, KM=TEXT), "the columns km and KM of b differ only in case", id="within"),
        pytest.param(shape(n=LONG, km=None), "km of b is odd, which Spark cannot read; write it as", id="unreadable"),
    ],
)
def test_a_file_that_does_not_fit_in_a_column_that_is_read_is_named(second: FileShape, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        unite({"a": shape(n=LONG, km=DOUBLE), "b": second}, needs(km="double", n="long"))


ALONE = {
    "absent": (shape(n=LONG), {"n": LONG, "km": DOUBLE}),
    "only nulls": (shape(n=LONG, km=NullType()), {"n": LONG, "km": DOUBLE}),
    "narrower": (shape(n=LONG, km=FloatType()), {"n": LONG, "km": DOUBLE}),
    "text": (shape(n=LONG, km=TEXT), {"n": LONG, "km": TEXT}),
    "bytes": (shape(n=LONG, km=BinaryType()), {"n": LONG}),
    "case": (shape(n=LONG, KM=DOUBLE), {"n": LONG, "km": DOUBLE}),
    "case within a file": (shape(n=LONG, km=DOUBLE, KM=TEXT), {"n": LONG}),
    "unreadable": (shape(n=LONG, km=None), {"n": LONG}),
}


@pytest.mark.parametrize(("second", "expected"), ALONE.values(), ids=ALONE)
def test_a_column_that_nothing_reads_stops_nothing(second: FileShape, expected: dict[str, DataType]) -> None:
    assert kinds(unite({"a": shape(n=LONG, km=DOUBLE), "b": second}, needs(n="long"))) == expected


@pytest.mark.parametrize("case", ["text", "bytes", "case", "case within a file", "unreadable"])
def test_a_column_is_read_if_all_are_kept_and_then_files_must_agree_on_it(case: str) -> None:
    second, _ = ALONE[case]
    with pytest.raises(ConfigurationError, match=r"(?i)km of b|km .* in b|km .*of b"):
        unite({"a": shape(n=LONG, km=DOUBLE), "b": second}, needs(n="long", keep="all"))


def test_whole_numbers_become_doubles_where_the_model_asks_for_them_or_none_is_too_large() -> None:
    shapes = {"a": shape(n=LONG), "b": shape(n=DOUBLE), "c": shape(n=DecimalType(5, 1))}
    assert kinds(unite(shapes, needs(n="double"))) == {"n": DOUBLE}
    two = {name: shapes[name] for name in "ab"}
    assert kinds(unite(two, needs(n="long"), lambda path, name: (path, name) == ("a", "n"))) == {"n": DOUBLE}


def test_a_folder_s_value_is_text_and_stands_before_the_file_s_own() -> None:
    shapes = {"a": shape("store", km=DOUBLE, store=LONG), "b": shape(km=DOUBLE, store=TEXT)}
    assert kinds(unite(shapes, needs(store="string"))) == {"km": DOUBLE, "store": TEXT}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", {}),
        ("x=01/y=2/a.csv", {"x": "01", "y": "2"}),
        ("x=1/sub/a.csv", {"x": "1"}),
        ("x=1/sub/y=2/a.csv", {"y": "2"}),
        ("a%20b=1%3D2/a.csv", {"a b": "1=2"}),
        ("x=__HIVE_DEFAULT_PARTITION__/a.csv", {"x": None}),
    ],
)
def test_folders_name_columns_by_the_rule_of_spark(path: str, expected: dict[str, str | None]) -> None:
    assert folder_columns(Path("/in") / path, Path("/in")) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("=1/a.csv", "=1 of .* is not column=value"),
        ("x=/a.csv", "x= of .* is not column=value"),
        ("x=1/x=2/a.csv", "two folders of .* name the column x"),
    ],
)
def test_folders_that_do_not_name_a_column_with_one_value_are_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        folder_columns(Path("/in") / path, Path("/in"))


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_parquet(name: str, **columns: Any) -> Path:
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return to_parquet


def test_a_footer_says_what_spark_reads(write: Write) -> None:
    moment = datetime(2026, 1, 1)  # noqa: DTZ001
    path = write(
        "a.parquet",
        count=pa.array([1], pa.uint32()),
        text=["x"],
        bare=[b"x"],
        nothing=pa.nulls(1),
        seen=pa.array([moment], pa.timestamp("ns")),
        sent=pa.array([moment], pa.timestamp("ns", "UTC")),
        made=pa.array([moment], pa.timestamp("us")),
        at=pa.array([time(1)], pa.time32("ms")),
        deep=pa.array([[{"seen": moment}]], pa.list_(pa.struct({"seen": pa.timestamp("ns")}))),
        flat=pa.array([[{"n": 1}]]),
    )
    (footer,) = footer_shapes((path,), path.parent).values()
    read = {column.name: column.type.simpleString() if column.type else None for column in footer.columns}
    assert read == {
        "count": "bigint", "text": "string", "bare": "binary", "nothing": "void", "seen": "timestamp_ntz",
        "sent": "timestamp", "made": "timestamp_ntz", "at": None, "deep": None, "flat": "array<struct<n:bigint>>",
    }  # fmt: skip
    assert [column.name for column in footer.columns if column.nanoseconds] == ["seen", "sent"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([0, 2**53], True), ([-(2**53) - 1], False), ([], True), ([None], True), ([None, 5], True)],
    ids=["the largest", "one too low", "no rows", "nulls", "a null and a number"],
)
def test_a_footer_proves_that_whole_numbers_are_exact_as_doubles(
    numbers: list[int | None], expected: bool, write: Write
) -> None:
    path = write("a.parquet", n=pa.array(numbers, pa.int64()))
    assert holds_exact_doubles(str(path), "n") is expected


def test_a_footer_without_statistics_proves_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "a.parquet", write_statistics=False)
    assert not holds_exact_doubles(str(tmp_path / "a.parquet"), "n")


@pytest.mark.parametrize("damage", ["cut off", "empty", "text"])
def test_a_file_that_is_no_whole_parquet_file_is_named(damage: str, write: Write) -> None:
    good, bad = write("a.parquet", n=[1]), write("b.parquet", n=[2])
    bad.write_bytes({"cut off": bad.read_bytes()[:-20], "empty": b"", "text": b"n\n1\n" * 50}[damage])
    with pytest.raises(ConfigurationError, match=r"^/\S+/b\.parquet cannot be read as Parquet"):
        footer_shapes((good, bad), good.parent)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("reading file file:///in/a b.csv.", "/in/a b.csv"),
        ("reading file file:///in/a%20b.csv.", "/in/a b.csv"),
        ("reading file file:///in/a b.csv.gz.", "/in/a b.csv.gz"),
        ("no file at all", "unit 4 (/in/a b.csv, /in/a b.csv.gz)"),
    ],
)
def test_the_file_at_fault_is_the_one_that_the_reader_names(message: str, expected: str) -> None:
    unit = Unit(4, (InputFile("/in/a b.csv", 1, ""), InputFile("/in/a b.csv.gz", 1, "")))
    assert unreadable(unit, RuntimeError(message)) == expected
