"""Strict JSON in one process: what it refuses, how it reads numbers, and what it hands on."""

from __future__ import annotations

import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import columns as c
from streaming.formats.json.rows import JsonRowDecoder, Judgement
from streaming.formats.json.strict import NotJsonError, Number, strict_json
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings
from tests.support.malformed import CASES, GOOD, SIGNATURE, with_envelope
from tests.support.records import bits

DECODER = JsonRowDecoder(SIGNATURE, EventSettings(), 1 << 20)


def judged(name: str) -> Judgement:
    return DECODER.judge(CASES[name])


def test_an_event_with_two_problems_has_both() -> None:
    problems = judged("three wrong types").problems
    assert {str(rejection) for rejection in problems} == {"WRONG_TYPE:gust", "WRONG_TYPE:seats", "WRONG_TYPE:night"}


def test_a_good_event_is_bad_when_it_is_cut_anywhere() -> None:
    assert not DECODER.judge(GOOD).problems
    # The last byte is a line's end, which may be missing.
    assert all(DECODER.judge(GOOD[:length]).problems for length in range(len(GOOD) - 1))


def test_a_batch_has_a_row_for_each_value_and_a_column_for_each_field() -> None:
    batch = DECODER.read(pa.array([GOOD, None, b"\xff", GOOD[:-2]], pa.binary()))
    assert batch.column(c.VERDICT).to_pylist() == [
        None,
        {"reason": "TOMBSTONE", "field": None},
        {"reason": "INVALID_UTF8", "field": None},
        {"reason": "MALFORMED_JSON", "field": None},
    ]
    features = batch.schema.names[4:]
    assert tuple(features) == SIGNATURE.names
    good, *rejected = batch.to_pylist()
    assert {name: good[name] for name in features} == {name: DECODER.judge(GOOD).values[name] for name in features}
    assert good[c.EVENT_ID] is not None
    assert good[c.EVENT_TIME].tzinfo is not None
    assert good[c.SUBJECT] is None, "the envelope names no field for it"
    assert {value for row in rejected for name, value in row.items() if name != c.VERDICT} == {None}


def test_a_rejected_event_keeps_the_time_that_could_be_read() -> None:
    (row,) = DECODER.read(pa.array([with_envelope(event_id="null")], pa.binary())).to_pylist()
    assert row.pop(c.EVENT_TIME).isoformat() == "2013-01-01T05:15:00+00:00"
    assert row.pop(c.VERDICT) == {"reason": "MISSING_FIELD", "field": "event_id"}
    assert {*row.values()} == {None}


def test_a_field_that_both_the_envelope_and_the_signature_name_fills_both_columns() -> None:
    signature = Signature((Column("event_time", "string"),))
    value = b'{"event_id":"e","event_time":"2013-01-01T05:15:00Z"}'
    (row,) = JsonRowDecoder(signature, EventSettings(), 100).read(pa.array([value], pa.binary())).to_pylist()
    assert row["event_time"] == "2013-01-01T05:15:00Z"
    assert row[c.EVENT_TIME].isoformat() == "2013-01-01T05:15:00+00:00"


def test_a_batch_of_none_has_the_columns_too() -> None:
    empty = DECODER.read(pa.array([], pa.binary()))
    assert (empty.num_rows, empty.schema) == (0, DECODER.read(pa.array([GOOD], pa.binary())).schema)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_s_own_digits_give_it_back(number: float) -> None:
    assert bits(read("float", repr(number))) == bits(number)


@given(st.floats(min_value=-3e38, max_value=3e38))
def test_a_double_is_read_exactly_and_as_a_float_it_is_not_further_off_than_half_a_step(number: float) -> None:
    assert bits(read("double", repr(number))) == bits(number)
    near = read("float", repr(number))
    assert abs(near - number) <= max(math.ldexp(1, math.frexp(number)[1] - 25), 2.0**-150)


def read(kind: ColumnType, token: str) -> float:
    decoder = JsonRowDecoder(Signature((Column("x", kind),)), EventSettings(id=None, time=None), 100)
    value: float = decoder.judge(f'{{"x":{token}}}'.encode()).values["x"]
    return value


@given(st.text())
def test_any_text_that_python_writes_is_read_back(text: str) -> None:
    assert strict_json(json.dumps([text, 1])) == [text, Number("1")]


@pytest.mark.parametrize("text", ["[" * 100_000, "[1" * 100_000, '{"a":' * 100_000, "[" * 1_000 + "]" * 1_000])
def test_depth_never_overflows_the_stack(text: str) -> None:
    with pytest.raises(NotJsonError):
        strict_json(text)
