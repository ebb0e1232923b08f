"""From a batch of Kafka's columns to the writer's rows, on Arrow batches alone."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import columns as c
from streaming.events.arrow_records import decoded_rows
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.formats.json.rows import JsonRowDecoder
from streaming.models.ref import ModelVersion
from streaming.outputs.arrow_rows import enveloped_rows, first_header
from streaming.outputs.arrow_times import FEW, written_times
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Target
from streaming.settings import EventSettings
from tests.support.malformed import SIGNATURE, with_envelope, with_fields
from tests.support.written import SCHEMA as WRITTEN

HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
STAMP = Stamp("features", ModelVersion('fli"ghts', 4, "run4"), "champion", "2026-01-01T00:00:00.000Z")
MOMENT = pa.timestamp("us", "UTC")
GOOD = with_envelope(event_id='"a"')


def records(*values: bytes | None, **columns: list[Any]) -> pa.RecordBatch:
    """Records of partition 3 from offset 7 on; ``columns`` replaces what they have otherwise."""
    size = len(values)
    made: dict[str, list[Any]] = {
        "key": [b"k"] * size,
        "value": list(values),
        "headers": [None] * size,
        "partition": [3] * size,
        "offset": list(range(7, 7 + size)),
        "timestamp": [1_000] * size,
        **columns,
    }
    types = (pa.binary(), pa.binary(), HEADERS, pa.int32(), pa.int64(), MOMENT)
    arrays = [pa.array(column, kind) for column, kind in zip(made.values(), types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, list(made))


def decoded(batch: pa.RecordBatch, envelope: EventSettings) -> pa.RecordBatch:
    read = JsonRowDecoder(SIGNATURE, envelope, 1_000).read(batch.column("value"))
    return decoded_rows(batch, read, envelope)


def scored(*values: bytes | None, arms: list[int] | None = None, **columns: list[Any]) -> pa.RecordBatch:
    """What a model made of them that always answers 1.0 or, with ``answers``, these."""
    answers = columns.pop("answers", [(1.0, [0.25, 0.75], None, 0.75)] * len(values))
    batch = decoded(records(*values, **columns), EventSettings())
    kinds = {c.PREDICTION: pa.float64(), c.PROBABILITY: pa.list_(pa.float64()), c.LABEL: pa.string()}
    for position, (name, kind) in enumerate({**kinds, c.CONFIDENCE: pa.float64()}.items()):
        batch = batch.append_column(name, pa.array([answer[position] for answer in answers], kind))
    batch = batch.append_column(c.BINS, pa.array([b"\0"] * len(values), pa.binary()))
    return batch if arms is None else batch.append_column(c.ARM, pa.array(arms, pa.int8()))


def test_without_fields_for_them_id_subject_and_time_are_the_records_own() -> None:
    batch = decoded(records(GOOD, b"{", key=[b"k", b"\xff"]), EventSettings(id=None, time=None))
    assert batch.column(c.EVENT_ID).to_pylist() == ["3-7", "3-8"]
    assert batch.column(c.SUBJECT).to_pylist() == ["k", None]
    assert batch.column(c.EVENT_TIME).cast(pa.int64()).to_pylist() == [1_000, 1_000]


def test_named_fields_count_before_the_records_own() -> None:
    batch = decoded(records(GOOD), EventSettings(key="carrier"))
    assert [batch.column(name)[0].as_py() for name in (c.EVENT_ID, c.SUBJECT)] == ["a", "UA"]
    assert batch.column(c.EVENT_TIME)[0].as_py() == datetime(2013, 1, 1, 5, 15, tzinfo=timezone.utc)
    assert batch.schema.names == [*c.SOURCE, *c.ENVELOPE, *SIGNATURE.names]


@pytest.mark.parametrize(
    ("value", "millis"),
    [
        pytest.param(with_fields('"gust":"x"'), 1_357_017_300_000, id="another field is wrong"),
        pytest.param(with_envelope(event_id="null"), 1_357_017_300_000, id="no id"),
        pytest.param(with_fields('"a":1,"a":2'), None, id="no strict JSON"),
        pytest.param(with_envelope(event_time='"2013-02-30T05:15:00Z"'), None, id="no such day"),
        pytest.param(with_envelope(event_time="7"), None, id="a number"),
        pytest.param(GOOD + b" " * 1_000, None, id="too long"),
        pytest.param(b"[1]", None, id="no object"),
        pytest.param(b"\xff", None, id="no text"),
        pytest.param(None, None, id="no value"),
    ],
)
def test_a_rejected_event_has_its_time_where_that_can_be_read(value: bytes | None, millis: int | None) -> None:
    batch = decoded(records(GOOD, value), EventSettings())
    assert batch.column(c.VERDICT).is_valid().to_pylist() == [False, True]
    times = batch.column(c.EVENT_TIME).cast(pa.int64()).to_pylist()
    assert times[1] == (None if millis is None else millis * 1_000)


def test_milliseconds_of_a_rejected_event_are_read() -> None:
    tokens = ("7", "7.0", "1e3", '"7"', "9" * 18)
    rejected = [with_envelope(event_id="null", event_time=token) for token in tokens]
    batch = decoded(records(*rejected), EventSettings(time_format="epoch_ms"))
    assert batch.column(c.EVENT_TIME).cast(pa.int64()).to_pylist() == [7_000, None, None, None, None]


def test_a_prediction_is_the_contracts_json_and_a_dead_letter_the_events_own_value() -> None:
    rows = enveloped_rows(scored(GOOD, b"{"), [STAMP])
    good, bad = rows.to_pylist()
    assert list(json.loads(good["value"]).items()) == [
        ("prediction_id", 'fli"ghts:champion:features:3:7'),
        ("event_id", "a"),
        ("event_time", "2013-01-01T05:15:00.000Z"),
        ("prediction", 1.0),
        ("label", None),
        ("probability", [0.25, 0.75]),
        ("confidence", 0.75),
        ("scored_at", "2026-01-01T00:00:00.000Z"),
        ("model_name", 'fli"ghts'),
        ("model_version", 4),
        ("run_id", "run4"),
        ("role", "champion"),
    ]
    assert (good["reason"], good["timestamp"], good["event_time"]) == (None, 1, "2013-01-01T05:15:00.000Z")
    assert (bad["value"], bad["reason"], bad["field"], bad["event_time"]) == (b"{", "MALFORMED_JSON", None, None)
    assert {field.name: field.type for field in rows.schema} == {field.name: field.type for field in WRITTEN}


@pytest.mark.parametrize(
    "probabilities",
    [
        pytest.param([[0.25, 0.75], [1.0, -0.0]], id="of one length"),
        pytest.param([[0.25, 0.75], [1.0]], id="of several lengths"),
        pytest.param([[0.5, None], [0.25, 0.5]], id="with a null"),
        pytest.param([[0.5], None], id="none at all in one"),
        pytest.param([[], []], id="empty"),
    ],
)
def test_probabilities_are_written_as_they_are(probabilities: list[list[float | None] | None]) -> None:
    answers = [(1.0, of_row, "late", 0.5) for of_row in [[0.125], *probabilities]]
    batch = scored(GOOD, GOOD, GOOD, answers=answers).slice(1)
    values = [json.loads(value) for value in enveloped_rows(batch, [STAMP]).column("value").to_pylist()]
    assert [repr(value["probability"]) for value in values] == [repr(of_row) for of_row in probabilities]
    assert [value["prediction_id"].rpartition(":")[2] for value in values] == ["8", "9"]


def test_infinity_is_text_as_it_is_in_the_frames_json() -> None:
    answers = [(1.0, [math.inf, -math.inf, 0.5], "late", math.inf)]
    value = json.loads(enveloped_rows(scored(GOOD, answers=answers), [STAMP]).column("value")[0].as_py())
    assert (value["probability"], value["confidence"]) == (["Infinity", "-Infinity", 0.5], "Infinity")


def test_only_dead_letters_have_the_events_headers() -> None:
    own = [("own", None), ("traceparent", b"p")]
    entries = [dict(zip(("key", "value"), entry, strict=True)) for entry in own]
    good, bad = enveloped_rows(scored(GOOD, b"{", headers=[entries, entries]), [STAMP]).to_pylist()
    assert (good["headers"], bad["headers"]) == (None, entries)
    assert (good["traceparent"], good["tracestate"]) == (b"p", None)


def test_the_first_header_of_a_name_counts_in_a_part_of_a_batch_too() -> None:
    rows = [[("a", b"0")], None, [("b", b"1"), ("a", b"2"), ("a", b"3")], [], [("a", None), ("a", b"4")]]
    headers = pa.array([row and [{"key": k, "value": v} for k, v in row] for row in rows], HEADERS)
    assert first_header(headers, "a").to_pylist() == [b"0", None, b"2", None, None]
    assert first_header(headers.slice(1, 2), "a").to_pylist() == [None, b"2"]
    assert first_header(pa.nulls(2, HEADERS), "a").to_pylist() == [None, None]


def test_each_arm_has_its_own_stamp() -> None:
    challenger = Stamp("features", ModelVersion("flights", 5, "run5"), "challenger", STAMP.scored_at)
    rows = enveloped_rows(scored(GOOD, GOOD, arms=[1, 0]), [STAMP, challenger])
    assert [json.loads(value)["model_version"] for value in rows.column("value").to_pylist()] == [5, 4]
    assert rows.column("arm").to_pylist() == [1, 0]


@pytest.mark.parametrize(
    ("to", "key", "reason"),
    [
        pytest.param(Target("out", 1, 10_000), b"k", None, id="small enough"),
        pytest.param(Target("out", 1, 4_200), b"k", "PREDICTION_TOO_LARGE", id="too large"),
        pytest.param(Target("out", 1, 10_000), b"k" * 6_000, "PREDICTION_TOO_LARGE", id="a large key"),
        pytest.param(Target("out", 1, 10_000), None, None, id="no key"),
        pytest.param(Target("out", 1, 10_000, compacted=True), None, "NO_KEY", id="no key on a compacted topic"),
        pytest.param(Target("out", 1, 4_200, compacted=True), None, "PREDICTION_TOO_LARGE", id="both"),
    ],
)
def test_what_the_topic_does_not_take_becomes_a_dead_letter(to: Target, key: bytes | None, reason: str | None) -> None:
    (row,) = enveloped_rows(scored(GOOD, key=[key]), [STAMP], to).to_pylist()
    assert row["reason"] == reason
    assert (row["value"] == GOOD) == (reason is not None)


def test_a_batch_may_be_empty() -> None:
    assert enveloped_rows(scored(GOOD).slice(0, 0), [STAMP], Target("out", 1, 1)).num_rows == 0


@given(st.lists(st.none() | st.datetimes()))
def test_a_time_is_written_with_milliseconds_and_the_rest_is_cut_off(moments: list[datetime | None]) -> None:
    """Few are written one by one, and many by arithmetic."""
    for some in (moments, moments * (FEW + 1)):
        texts = [moment and f"{moment.isoformat(timespec='milliseconds')}Z" for moment in some]
        assert written_times(pa.array(some, pa.timestamp("us")).cast(MOMENT)).to_pylist() == texts


@pytest.mark.parametrize(
    ("years", "text"),
    [
        pytest.param(8_000, "+10001-01-01T00:00:00.000Z", id="after 9999"),
        pytest.param(-2_001, "0000-01-01T00:00:00.000Z", id="the year before year 1"),
        pytest.param(-2_002, "-0001-01-01T00:00:00.000Z", id="two years before it"),
        pytest.param(-12_002, "-10001-01-01T00:00:00.000Z", id="ten thousand years before that"),
    ],
)
def test_a_year_of_other_than_four_digits_is_written_as_spark_writes_it(years: int, text: str) -> None:
    """400 years have 146,097 days."""
    cycles, rest = divmod(years, 400)
    moment = datetime(2001 + rest, 1, 1, tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    micros = (moment + timedelta(days=cycles * 146_097)) // timedelta(microseconds=1)
    for times in (1, FEW):
        assert written_times(pa.array([micros, None] * times, MOMENT)).to_pylist() == [text, None] * times


def test_verdicts_are_of_the_type_that_decoders_have() -> None:
    assert JsonRowDecoder(SIGNATURE, EventSettings(), 1).schema.field(c.VERDICT).type == VERDICT_STRUCT
