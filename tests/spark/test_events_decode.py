"""Bytes to rows: what is valid, what is rejected, and with which reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from streaming.errors import CandidateRefusedError
from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.events.guards import InRange, InVocabulary, NotNull
from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings
from tests.support.malformed import NOT_UTF8, with_envelope
from tests.support.records import verdict_text

SIGNATURE = Signature(
    (
        Column("carrier", "string"),
        Column("dest", "string", required=False),
        Column("distance", "double"),
        Column("seats", "long", required=False),
        Column("gust", "double", required=False),
        Column("night", "boolean", required=False),
    )
)
SAFE = {"carrier": "SAFE", "dest": "SAFE", "distance": -1.0, "seats": -1, "gust": -1.0, "night": False}
GUARDS = (InVocabulary("carrier", ("UA", "AA")), InRange("distance", 0.0, 5000.0), NotNull("carrier"))
RECORD = (
    "key binary, value binary, headers array<struct<key string, value binary>>, partition int, offset long,"
    " timestamp timestamp"
)
LIMIT = 400


def decoder(**changes: Any) -> JsonDecoder:
    return JsonDecoder(
        **{
            "signature": SIGNATURE,
            "envelope": EventSettings(),
            "max_value_bytes": LIMIT,
            "safe_row": SAFE,
            "guards": GUARDS,
            **changes,
        }
    )


def decoded(spark: SparkSession, values: Sequence[bytes | None], made: JsonDecoder | None = None) -> list[Row]:
    moment = datetime(2013, 7, 1)  # noqa: DTZ001 - Spark's timestamps are naive, in the session's UTC
    records = [(b"key", value, None, 0, offset, moment) for offset, value in enumerate(values)]
    return (made or decoder())(spark.createDataFrame(records, RECORD)).collect()


def event(**changes: Any) -> bytes:
    fields = {"event_id": "e1", "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "distance": 1.5, **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not ...}).encode()


HEAD = b'{"event_id":"e","event_time":"2013-01-01T05:15:00Z","carrier":"UA",'
REJECTED: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "TOMBSTONE"),
    "empty": (b"", "MALFORMED_JSON"),
    "blank": (b"  \n", "MALFORMED_JSON"),
    "too long": (b"x" * (LIMIT + 1), "OVERSIZE"),
    "not UTF-8": (b"\xff\xfe{", "INVALID_UTF8"),
    "UTF-16": (event().decode().encode("utf-16"), "INVALID_UTF8"),
    "byte order mark": (b"\xef\xbb\xbf" + event(), "MALFORMED_JSON"),
    "truncated": (event()[:-5], "MALFORMED_JSON"),
    "trailing brace": (event() + b"}", "MALFORMED_JSON"),
    "trailing word": (event() + b" x", "MALFORMED_JSON"),
    "trailing comment": (event() + b"//", "MALFORMED_JSON"),
    "trailing zero byte": (event() + b"\x00", "MALFORMED_JSON"),
    "two values": (event() + b" {}", "MALFORMED_JSON"),
    "trailing comma": (HEAD + b'"distance":1,}', "MALFORMED_JSON"),
    "single quotes": (b"{'carrier':'UA'}", "MALFORMED_JSON"),
    "leading zero": (HEAD + b'"distance":01}', "MALFORMED_JSON"),
    "NaN token": (HEAD + b'"distance":NaN}', "MALFORMED_JSON"),
    "Infinity token": (HEAD + b'"distance":-Infinity}', "MALFORMED_JSON"),
    "raw newline in a string": (event(carrier="UA").replace(b"UA", b"U\nA"), "MALFORMED_JSON"),
    "duplicate key": (HEAD + b'"distance":1,"distance":2}', "MALFORMED_JSON"),
    "duplicate nested key": (HEAD + b'"distance":1,"x":{"a":1,"a":2}}', "MALFORMED_JSON"),
    "array": (b"[1]", "NOT_AN_OBJECT"),
    "text": (b'"text"', "NOT_AN_OBJECT"),
    "null": (b"null", "NOT_AN_OBJECT"),
    "no id": (event(event_id=...), "MISSING_FIELD:event_id"),
    "null id": (event(event_id=None), "MISSING_FIELD:event_id"),
    "boolean id": (event(event_id=True), "WRONG_TYPE:event_id"),
    "no time": (event(event_time=...), "MISSING_FIELD:event_time"),
    "number as time": (event(event_time=5), "WRONG_TYPE:event_time"),
    "thirteenth month": (event(event_time="2013-13-01T05:15:00Z"), "BAD_EVENT_TIME:event_time"),
    "time without date": (event(event_time="05:15:00"), "BAD_EVENT_TIME:event_time"),
    "year alone": (event(event_time="2013"), "BAD_EVENT_TIME:event_time"),
    "required text absent": (event(carrier=...), "MISSING_FIELD:carrier"),
    "required text null": (event(carrier=None), "MISSING_FIELD:carrier"),
    "number as text": (event(carrier=5), "WRONG_TYPE:carrier"),
    "object as text": (event(carrier={"a": 1}), "WRONG_TYPE:carrier"),
    "array as optional text": (event(dest=["IAH"]), "WRONG_TYPE:dest"),
    "required number absent": (event(distance=...), "MISSING_FIELD:distance"),
    "required number null": (event(distance=None), "MISSING_FIELD:distance"),
    "text as number": (event(distance="1.5"), "WRONG_TYPE:distance"),
    "true as number": (event(distance=True), "WRONG_TYPE:distance"),
    "text NaN as number": (event(gust="NaN"), "WRONG_TYPE:gust"),
    "too large for a double": (HEAD + b'"distance":1e400}', "NON_FINITE:distance"),
    "fraction as whole number": (event(seats=1.5), "WRONG_TYPE:seats"),
    "too large for a long": (event(seats=2**63), "WRONG_TYPE:seats"),
    "number as boolean": (event(night=1), "WRONG_TYPE:night"),
    "unseen category": (event(carrier="ZZ"), "UNSEEN_CATEGORY:carrier"),
    "out of range": (event(distance=9000), "UNSEEN_CATEGORY:distance"),
}


@pytest.fixture(scope="module")
def verdicts(spark: SparkSession) -> dict[str, Row]:
    """All of the table in one Spark job."""
    rows = decoded(spark, [value for value, _ in REJECTED.values()])
    return dict(zip(REJECTED, rows, strict=True))


@pytest.mark.parametrize("name", REJECTED, ids=list(REJECTED))
def test_a_broken_event_is_rejected_with_its_reason(name: str, verdicts: dict[str, Row]) -> None:
    assert verdict_text(verdicts[name]) == REJECTED[name][1]


@pytest.mark.parametrize("name", REJECTED, ids=list(REJECTED))
def test_a_rejected_event_keeps_its_bytes_and_gets_harmless_features(name: str, verdicts: dict[str, Row]) -> None:
    row = verdicts[name]
    value = REJECTED[name][0]
    assert (row[c.VALUE] if value is None else bytes(row[c.VALUE])) == value
    assert {column: row[column] for column in SAFE} == SAFE


def test_valid_events_come_through_typed(spark: SparkSession) -> None:
    values = [
        event(),
        event(event_id=7, seats=2**63 - 1, distance=-0.0, night=True, gust=1e308, dest="é"),
        event(extra={"nested": [1, {"a": None}]}, dest=None, gust=None),
        event(event_time="2013-01-01 05:15:00+02:00", distance=3),
    ]
    rows = decoded(spark, values)
    assert [verdict_text(row) for row in rows] == [None] * 4
    assert [row[c.EVENT_ID] for row in rows] == ["e1", "7", "e1", "e1"]
    assert (rows[1].seats, str(rows[1].distance), rows[1].night, rows[1].gust, rows[1].dest) == (
        2**63 - 1,
        "-0.0",
        True,
        1e308,
        "é",
    )
    assert (rows[2].dest, rows[2].gust) == (None, None)
    assert [row[c.EVENT_TIME].hour for row in rows] == [5, 5, 5, 3]
    assert {row[c.SUBJECT] for row in rows} == {"key"}


@pytest.mark.long
def test_an_envelope_may_have_other_names_or_none(spark: SparkSession) -> None:
    named = EventSettings(id="no", time="at", time_format="epoch_ms", key="plane")
    (row,) = decoded(
        spark,
        [json.dumps({"no": 1, "at": 1000, "plane": "N1", "carrier": "UA", "distance": 1}).encode()],
        decoder(envelope=named),
    )
    assert (verdict_text(row), row[c.EVENT_ID], row[c.SUBJECT], row[c.EVENT_TIME].second) == (None, "1", "N1", 1)
    (row,) = decoded(spark, [b'{"carrier":"UA","distance":1}'], decoder(envelope=EventSettings(id=None, time=None)))
    assert (verdict_text(row), row[c.EVENT_ID], row[c.EVENT_TIME].month) == (None, "0-0", 7)


def test_poisoned_rows_are_kept_from_the_pipeline(spark: SparkSession) -> None:
    rows = decoded(spark, [event(), event(), event()], decoder(poison=((0, 1),)))
    assert [verdict_text(row) for row in rows] == [None, "SCORING_FAILED", None]
    assert [row.carrier for row in rows] == ["UA", "SAFE", "UA"]


def test_a_number_the_envelope_reads_as_text_is_refused() -> None:
    with pytest.raises(CandidateRefusedError, match="ENVELOPE_CLASH"):
        decoder(envelope=EventSettings(key="distance"))


@pytest.mark.parametrize(
    ("names", "envelope"),
    [(("gust", "Gust"), EventSettings()), (("Event_ID",), EventSettings()), (("KEY",), EventSettings(key="key"))],
    ids=["two columns", "a column and the id", "a column and the key"],
)
def test_names_that_differ_only_in_case_are_refused_before_a_batch_meets_them(
    names: tuple[str, ...], envelope: EventSettings
) -> None:
    signature = Signature(tuple(Column(name, "string") for name in names))
    with pytest.raises(CandidateRefusedError, match="differ only in case"):
        JsonDecoder(signature, envelope, 1 << 20, dict.fromkeys(names, ""))


def test_text_that_is_not_utf8_in_the_record_s_key_leaves_no_subject(spark: SparkSession) -> None:
    moment = datetime(2013, 7, 1)  # noqa: DTZ001 - naive, in the session's UTC
    records = [(key, with_envelope(), None, 0, offset, moment) for offset, key in enumerate(NOT_UTF8.values())]
    frame = spark.createDataFrame(records, RECORD)
    rows = JsonDecoder(Signature(()), EventSettings(), 1 << 20, {})(frame).collect()
    assert set(chain.from_iterable((row[c.SUBJECT], verdict_text(row)) for row in rows)) == {None}
