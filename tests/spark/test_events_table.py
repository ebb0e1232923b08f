"""Typed columns are judged as the same events in JSON are, and scored to the same bits."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError, ConfigurationError
from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.events.guards import InRange, InVocabulary
from streaming.events.table import TableDecoder
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings
from tests.support.damage import drawn
from tests.support.malformed import SIGNATURE
from tests.support.models import Shelf, fit_pipeline
from tests.support.records import bits, records_frame, verdict_text
from tests.support.seeds import with_seeds

SAFE = {"string": "SAFE", "double": -1.5, "float": -1.5, "integer": -1, "long": -1, "boolean": False}
SAFE_ROW = {column.name: SAFE[column.type] for column in SIGNATURE.columns}
GUARDS = (InVocabulary("carrier", ("UA", "AA")), InRange("distance", 0.0, 5000.0))
ARROW = pa.schema(
    {
        "event_id": pa.string(),
        "event_time": pa.string(),
        "carrier": pa.string(),
        "distance": pa.float64(),
        "gust": pa.float64(),
        "dest": pa.string(),
        "weight": pa.float64(),  # wider than the model's float
        "seats": pa.int64(),  # wider than the model's integer
        "number": pa.int64(),
        "night": pa.bool_(),
    }
)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1e39, 5e-324])
TIMES = ["2013-01-01T05:15:00Z", "2013-01-01 05:15:00.25+02:00", "2013", "", "0000-01-01T00:00:00Z", None]
LONGS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.fixed_dictionaries(
    {
        "event_id": st.text(st.characters(codec="utf-8"), max_size=4) | st.none(),
        "event_time": st.sampled_from([TIMES[0]] * 8 + TIMES),
        "carrier": st.sampled_from(["UA", "AA"] * 4 + ["ZZ", "", None]),
        "distance": st.floats(0, 5000) | DOUBLES | st.none(),
        "gust": DOUBLES | st.none(),
        "dest": st.text(st.characters(codec="utf-8"), max_size=4) | st.none(),
        "weight": st.floats(-1e38, 1e38) | st.floats(-1e38, 1e38) | DOUBLES | st.none(),
        "seats": st.integers(0, 300) | st.integers(0, 300) | LONGS | st.none(),
        "number": LONGS | st.none(),
        "night": st.booleans() | st.none(),
    }
)


def table_of(spark: SparkSession, rows: list[dict[str, Any]], schema: pa.Schema) -> DataFrame:
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema)).coalesce(1)


def decoder(frame: DataFrame, signature: Signature = SIGNATURE, **changes: Any) -> TableDecoder:
    safe = {column.name: SAFE[column.type] for column in signature.columns}
    given = {"signature": signature, "envelope": EventSettings(), "safe_row": safe, "schema": frame.schema, **changes}
    return TableDecoder(**given)


def in_order(frame: DataFrame) -> list[Row]:
    """A time as text, because a rejected row may have one that Python cannot hold."""
    return frame.withColumn(c.EVENT_TIME, F.col(c.EVENT_TIME).cast("string")).orderBy(c.OFFSET).collect()


def test_the_same_events_as_json_and_as_a_table_get_the_same_verdicts_and_features(spark: SparkSession) -> None:
    rows = drawn(ROWS, 600)
    table = table_of(spark, rows, ARROW)
    read = in_order(decoder(table, guards=GUARDS)(table))
    values = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    strict = JsonDecoder(SIGNATURE, EventSettings(), 1 << 20, SAFE_ROW, GUARDS)
    parsed = in_order(strict(records_frame(spark, values)))
    names = (c.EVENT_ID, c.EVENT_TIME, c.VERDICT, *SIGNATURE.names)
    differences = [
        (row, name, mine[name], theirs[name])
        for row, mine, theirs in zip(rows, read, parsed, strict=True)
        for name in names
        if bits(mine[name]) != bits(theirs[name])
    ]
    assert differences == []
    verdicts = {verdict_text(row) for row in parsed}
    assert {None, "WRONG_TYPE:seats", "NON_FINITE:weight", "UNSEEN_CATEGORY:carrier"} <= verdicts


@pytest.mark.long
def test_the_same_events_get_the_same_predictions_and_probabilities_to_the_bit(
    spark: SparkSession, shelf: Shelf
) -> None:
    model = shelf.model(fit_pipeline)
    rows = drawn(ROWS, 200, 1)
    table = table_of(spark, rows, ARROW)
    rules, signature = model.decoder, model.package.signature
    mine = TableDecoder(signature, EventSettings(), rules.safe_row, table.schema, rules.guards)
    scored = in_order(model.scorer.score(mine(table)))
    streamed = in_order(model.score(records_frame(spark, [json.dumps(row).encode() for row in rows])))
    names = (c.VERDICT, c.PREDICTION, c.PROBABILITY, c.CONFIDENCE)
    assert [[bits(row[n]) for n in names] for row in scored] == [[bits(row[n]) for n in names] for row in streamed]
    assert sum(verdict_text(row) is None for row in scored) > 20


@dataclass(frozen=True)
class Case:
    """A column's type, the model's, and what becomes of values: the value read, or the reason."""

    source: pa.DataType
    target: ColumnType
    values: dict[Any, Any]


WRONG, INFINITE = "WRONG_TYPE:x", "NON_FINITE:x"
CASES = {
    "long as double": Case(pa.int64(), "double", {2**53 + 1: float(2**53), -7: -7.0}),
    "decimal as double": Case(pa.decimal128(20, 2), "double", {Decimal("0.10"): 0.1}),
    "float as double": Case(pa.float32(), "double", {0.5: 0.5, math.inf: INFINITE}),
    "double": Case(pa.float64(), "double", {math.nan: INFINITE, -math.inf: INFINITE, 1e308: 1e308}),
    "double as float": Case(pa.float64(), "float", {1e39: INFINITE, 0.5: 0.5}),
    "text as double": Case(
        pa.string(),
        "double",
        {"1.5": 1.5, ".5": 0.5, "-1e3": -1000.0, "1e400": INFINITE, "NaN": WRONG, "": WRONG, " 1": WRONG, "1d": WRONG},
    ),
    "double as long": Case(
        pa.float64(),
        "long",
        {3.0: 3, -3.0: -3, 3.5: WRONG, 2.0**63: WRONG, -(2.0**63): -(2**63), math.nan: WRONG, math.inf: WRONG},
    ),
    "double as integer": Case(pa.float64(), "integer", {2.0**31: WRONG, -(2.0**31): -(2**31)}),
    "long as integer": Case(pa.int64(), "integer", {2**31: WRONG, 2**31 - 1: 2**31 - 1}),
    "short as integer": Case(pa.int16(), "integer", {-5: -5}),
    "decimal as long": Case(pa.decimal128(30, 2), "long", {Decimal("5.00"): 5, Decimal("5.01"): WRONG, 10**20: WRONG}),
    "text as long": Case(
        pa.string(), "long", {"12": 12, "-0": 0, "12.0": 12, "1.5": WRONG, "1e2": WRONG, str(2**63): WRONG, "x": WRONG}
    ),
    "text as boolean": Case(pa.string(), "boolean", {"true": True, "False": False, "1": WRONG, "": WRONG}),
}


SEEDS = {
    "long as double",
    "decimal as double",
    "double",
    "double as float",
    "text as double",
    "double as long",
    "decimal as long",
    "text as long",
}


@pytest.mark.parametrize("case", with_seeds(CASES, SEEDS))
def test_a_value_fits_if_nothing_of_it_is_lost(case: Case, spark: SparkSession) -> None:
    frame = table_of(spark, [{"x": value} for value in (*case.values, None)], pa.schema({"x": case.source}))
    signature = Signature((Column("x", case.target, required=False),))
    rows = in_order(decoder(frame, signature, envelope=EventSettings(id=None, time=None))(frame))
    read = [verdict_text(row) or row["x"] for row in rows[:-1]]
    assert [bits(value) for value in read] == [bits(value) for value in case.values.values()]
    assert (rows[-1][c.VERDICT], rows[-1]["x"]) == (None, None)


MOMENT = datetime(2013, 7, 1, 5, 15, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("kind", "value", "text_format", "expected"),
    [
        (pa.timestamp("us", "UTC"), MOMENT, "iso8601", "2013-07-01 05:15:00"),
        (pa.timestamp("us"), MOMENT.replace(tzinfo=None), "epoch_ms", "2013-07-01 05:15:00"),
        (pa.date32(), date(2013, 7, 1), "iso8601", "2013-07-01 00:00:00"),
        (pa.string(), "2013-07-01T07:15:00+02:00", "iso8601", "2013-07-01 05:15:00"),
        (pa.string(), "1372655700000", "epoch_ms", "2013-07-01 05:15:00"),
        (pa.string(), "x", "epoch_ms", "WRONG_TYPE:at"),
        (pa.int64(), 1372655700000, "epoch_ms", "2013-07-01 05:15:00"),
        (pa.int64(), 2**62, "epoch_ms", "BAD_EVENT_TIME:at"),
        (pa.int64(), None, "epoch_ms", "MISSING_FIELD:at"),
    ],
    ids=["timestamp", "without zone", "date", "text", "millis in text", "no number", "millis", "too late", "null"],
)
def test_an_event_time_may_be_of_any_type_that_names_one(
    kind: pa.DataType, value: Any, text_format: str, expected: str, spark: SparkSession
) -> None:
    frame = table_of(spark, [{"at": value, "no": 7}], pa.schema({"at": kind, "no": pa.int32()}))
    envelope = EventSettings.model_validate({"id": "no", "time": "at", "time_format": text_format})
    (row,) = in_order(decoder(frame, Signature(()), envelope=envelope)(frame))
    assert (verdict_text(row) or row[c.EVENT_TIME], row[c.EVENT_ID]) == (expected, "7")


@pytest.mark.parametrize(
    ("columns", "envelope", "message"),
    [
        ({"carrier": pa.string()}, {}, "it has no column distance, which the model needs as double"),
        ({"carrier": pa.int64(), "distance": pa.float64()}, {}, "carrier is bigint and the model reads string"),
        ({"carrier": pa.string(), "distance": pa.bool_()}, {}, "distance is boolean and the model reads double"),
        ({"carrier": pa.string(), "Distance": pa.float64()}, {}, "no column distance.*compared exactly"),
        ({"carrier": pa.string(), "distance": pa.float64()}, {"id": "id"}, "it has no column id; set event.id"),
        (
            {"carrier": pa.string(), "distance": pa.float64()},
            {"time": "distance"},
            "event.time cannot be|ENVELOPE_CLASH",
        ),
        (
            {"carrier": pa.string(), "distance": pa.float64(), "b": pa.bool_()},
            {"key": "b"},
            "b is boolean, which event.key",
        ),
    ],
    ids=["absent", "never text", "never a number", "other case", "no id", "time", "key"],
)
def test_a_table_that_cannot_be_scored_is_refused_as_a_whole(
    columns: dict[str, pa.DataType], envelope: dict[str, str], message: str, spark: SparkSession
) -> None:
    frame = table_of(spark, [], pa.schema(columns))
    signature = Signature((Column("carrier", "string"), Column("distance", "double")))
    with pytest.raises((ConfigurationError, CandidateRefusedError), match=message):
        decoder(frame, signature, envelope=EventSettings.model_validate({"id": None, "time": None, **envelope}))


def test_carried_columns_come_along_untouched_and_poisoned_rows_are_kept_from_the_pipeline(spark: SparkSession) -> None:
    rows = [{"carrier": "UA", "distance": float(i), "a.b`c": i, "gust": None} for i in range(4)]
    frame = table_of(spark, rows, pa.schema({"carrier": pa.string(), "distance": pa.float64(), "a.b`c": pa.int8()}))
    bare = EventSettings(id=None, time=None)
    made = decoder(frame, envelope=bare, carried=("a.b`c", "carrier"), poison=((0, 2),))
    read = in_order(made(frame))
    assert [verdict_text(row) for row in read] == [None, None, "SCORING_FAILED", None]
    assert [row.carrier for row in read] == ["UA", "UA", "SAFE", "UA"]
    assert [tuple(row[c.VALUE]) for row in read] == [(i, "UA") for i in range(4)]
    assert [row[c.EVENT_ID] for row in read] == [f"0-{i}" for i in range(4)]
