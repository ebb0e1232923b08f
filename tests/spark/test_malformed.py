"""The contract of decoders: the same verdicts, first reasons and values, to the bit, whatever reads the events.

The judge of one process is the reference. It is written independently of the expressions for the JVM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any

import pyarrow as pa
import pytest
from hypothesis.strategies import SearchStrategy
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas.dead_letter import Rejection
from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.formats.json.rows import JsonRowDecoder
from streaming.formats.json.strict import MAX_STRING
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.seams import Decoder, RowDecoder
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings
from tests.support.damage import damaged, drawn, events
from tests.support.malformed import CASES, EPOCHS, LISTS, SIGNATURE, huge, with_envelope, with_fields, with_lists
from tests.support.records import bits, records_frame, verdict_text
from tests.support.seeds import names_with_seeds

SAFE = {"string": "SAFE", "double": -1.5, "float": -1.5, "integer": -1, "long": -1, "boolean": False}
DEFAULT = EventSettings()
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Rules:
    """What a decoder of JSON is made of."""

    envelope: EventSettings = DEFAULT
    signature: Signature = SIGNATURE
    max_value_bytes: int = MEGABYTE

    @property
    def one_process(self) -> JsonRowDecoder:
        return JsonRowDecoder(self.signature, self.envelope, self.max_value_bytes)


@dataclass(frozen=True)
class Reading:
    """A verdict as text, and the columns of a valid event, its time as text."""

    verdict: str | None
    columns: Mapping[str, Any]


Read = Callable[[Rules, Sequence[bytes | None]], list[Reading]]
Make = Callable[[Signature, EventSettings, int], RowDecoder]


def read_in_spark(spark: SparkSession, rules: Rules, values: Sequence[bytes | None]) -> list[Reading]:
    """Read by one Spark job, and hold the frame against what a decoder of frames promises beside."""
    safe = {
        column.name: [SAFE[column.type]] * column.length if column.length else SAFE[column.type]
        for column in rules.signature.columns
    }
    decoder: Decoder = JsonDecoder(rules.signature, rules.envelope, rules.max_value_bytes, safe)
    frame = decoder(records_frame(spark, values))
    # As text, because a rejected event may have a time that Python cannot hold.
    rows = frame.withColumn(c.EVENT_TIME, F.col(c.EVENT_TIME).cast("string")).collect()
    assert [row[c.OFFSET] for row in rows] == list(range(len(values)))
    assert [None if row[c.VALUE] is None else bytes(row[c.VALUE]) for row in rows] == list(values)
    rejected = [row for row in rows if row[c.VERDICT] is not None]
    assert [row for row in rejected if {name: row[name] for name in safe} != safe] == [], "not masked"
    return [Reading(verdict_text(row), row.asDict()) for row in rows]


def read_in_one_process(make: Make, rules: Rules, values: Sequence[bytes | None]) -> list[Reading]:
    """Read in one batch, and hold it against what a decoder of rows promises beside."""
    decoder = make(rules.signature, rules.envelope, rules.max_value_bytes)
    batch = decoder.read(pa.array(values, pa.binary()))
    readings = []
    for row in batch.to_pylist():
        verdict = row.pop(c.VERDICT)
        values_beside = {value for name, value in row.items() if name != c.EVENT_TIME} if verdict else {None}
        assert values_beside <= {None}, "a rejected event has its verdict and its time alone"
        columns = {name: spelled(value) for name, value in row.items()}
        readings.append(Reading(verdict and str(Rejection(**verdict)), columns))
    assert len(readings) == len(values)
    return readings


IN_ONE_PROCESS: dict[str, Make] = {"the reference": JsonRowDecoder, "in tiers": TieredRowDecoder}


DECODERS = ("in Spark", *IN_ONE_PROCESS)


@pytest.fixture(scope="module", params=DECODERS)
def read(request: pytest.FixtureRequest) -> Read:
    if request.param in IN_ONE_PROCESS:
        return partial(read_in_one_process, IN_ONE_PROCESS[request.param])
    return partial(read_in_spark, request.getfixturevalue("spark"))


@pytest.fixture(scope="module")
def corpus(read: Read) -> Mapping[str, Reading]:
    """Every case of the corpus by its name, read at once."""
    return dict(zip(CASES, read(Rules(), list(CASES.values())), strict=True))


def spelled(value: Any) -> Any:
    """Write a time as Spark's cast to text does, and leave anything else as it is."""
    if not isinstance(value, datetime):
        return value
    text = value.replace(tzinfo=None).isoformat(" ")
    return text.rstrip("0") if value.microsecond else text


def disagreements(read: Read, rules: Rules, values: Mapping[str, bytes | None]) -> list[str]:
    """Say of each value on which a decoder and the reference differ how."""
    readings = zip(values.items(), read(rules, list(values.values())), strict=True)
    return [f"{name}: {text}" for (name, value), reading in readings for text in _differences(rules, value, reading)]


def _differences(rules: Rules, value: bytes | None, reading: Reading) -> Iterator[str]:
    expected = rules.one_process.judge(value)
    first = str(expected.problems[0]) if expected.problems else None
    time = expected.envelope.get(c.EVENT_TIME)
    # Of a time beyond the years of the rules, which is a fault, the JVM still knows which it is.
    if first and time is not None and reading.columns[c.EVENT_TIME] != spelled(time):
        yield f"the time {reading.columns[c.EVENT_TIME]} instead of {time}"
    if reading.verdict != first:
        yield f"{reading.verdict} instead of the first of {[str(problem) for problem in expected.problems]}"
    elif first is None:
        features = {column.name: expected.values[column.name] for column in rules.signature.columns}
        for name, answer in {**expected.envelope, **features}.items():
            actual, right = reading.columns[name], spelled(answer)
            if bits(actual) != bits(right):
                yield f"{name} is {actual!r} instead of {right!r}"


@cache
def by_chance(strategy: Callable[[], SearchStrategy[bytes]], count: int, number: int = 0) -> list[bytes]:
    """Draw values, once for all decoders."""
    return drawn(strategy(), count, number)


def named(values: list[bytes]) -> dict[str, bytes | None]:
    """Each value under its own bytes, which is what a failure must show."""
    return {f"{number} {value!r}": value for number, value in enumerate(values)}


def test_every_case_is_judged_as_a_strict_parser_judges_it(corpus: Mapping[str, Reading]) -> None:
    assert disagreements(lambda *_: list(corpus.values()), Rules(), CASES) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tombstone", "TOMBSTONE"),
        ("UTF-16", "INVALID_UTF8"),
        ("UTF-8, overlong slash", "INVALID_UTF8"),
        ("UTF-8, high surrogate", "INVALID_UTF8"),
        ("UTF-8, first two bytes of three, at the end", "INVALID_UTF8"),
        ("byte order mark", "MALFORMED_JSON"),
        ("blank", "MALFORMED_JSON"),
        ("two objects", "MALFORMED_JSON"),
        ("nested name twice", "MALFORMED_JSON"),
        ("name twice by an escape", "MALFORMED_JSON"),
        ("lone surrogate in an unread field", "MALFORMED_JSON"),
        ("two lone surrogates as names", "MALFORMED_JSON"),
        ("NaN in an unread field", "MALFORMED_JSON"),
        ("arrays 101 deep", "MALFORMED_JSON"),
        ("objects 100000 deep", "MALFORMED_JSON"),
        ("null alone", "NOT_AN_OBJECT"),
        ("no id", "MISSING_FIELD:event_id"),
        ("distance: null", "MISSING_FIELD:distance"),
        ("gust: 1e400", "NON_FINITE:gust"),
        ("weight: just beyond the largest float", "NON_FINITE:weight"),
        ("number: 2^63", "WRONG_TYPE:number"),
        ("number: one point zero", "WRONG_TYPE:number"),
        ("seats: 2^31", "WRONG_TYPE:seats"),
        ("dest: one", "WRONG_TYPE:dest"),
        ("night: text true", "WRONG_TYPE:night"),
        ("event_time: one", "WRONG_TYPE:event_time"),
        ("event_time: empty text", "BAD_EVENT_TIME:event_time"),
    ],
)
def test_what_is_wrong_has_its_reason(name: str, problem: str, corpus: Mapping[str, Reading]) -> None:
    assert corpus[name].verdict == problem


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("gust: null", "gust", None),
        ("gust: negative zero", "gust", -0.0),
        ("gust: minus zero", "gust", 0.0),
        ("gust: 1e-400", "gust", 0.0),
        ("gust: 2^53+1", "gust", 2.0**53),
        ("weight: float rounded twice", "weight", 1 + 2**-23),
        ("weight: rounds to the largest float", "weight", (2 - 2**-23) * 2.0**127),
        ("number: 2^63-1", "number", 2**63 - 1),
        ("number: minus zero", "number", 0),
        ("dest: surrogate pair", "dest", "\U0001f600"),
        ("dest: escaped zero", "dest", "\0"),
        ("event_id: -2^63", c.EVENT_ID, str(-(2**63))),
        ("objects 100 deep", "gust", None),
        ("time '2013-01-01 05:15:00+02:00'", c.EVENT_TIME, "2013-01-01 03:15:00"),
    ],
)
def test_what_is_right_has_its_value_to_the_bit(
    name: str, column: str, value: object, corpus: Mapping[str, Reading]
) -> None:
    assert corpus[name].verdict is None
    assert bits(corpus[name].columns[column]) == bits(value)


@pytest.mark.parametrize("number", [0, *(pytest.param(more, marks=pytest.mark.long) for more in (1, 2, 3))])
def test_damaged_events_by_chance_are_judged_alike(read: Read, number: int) -> None:
    assert disagreements(read, Rules(), named(by_chance(damaged, 400, number))) == []


@pytest.mark.parametrize("read", names_with_seeds(DECODERS, IN_ONE_PROCESS), indirect=True)
def test_events_by_chance_are_read_alike_to_the_bit(read: Read) -> None:
    values = by_chance(events, 400)
    assert sum(not Rules().one_process.judge(value).problems for value in values) > 100
    assert disagreements(read, Rules(), named(values)) == []


def test_times_in_milliseconds_are_read_alike_and_none_stops_the_job(read: Read) -> None:
    rules = Rules(EventSettings(time_format="epoch_ms"))
    assert disagreements(read, rules, {token: with_envelope(event_time=token) for token in EPOCHS}) == []


def test_a_key_in_the_value_and_an_envelope_without_id_and_time_are_read_alike(read: Read) -> None:
    rules = Rules(EventSettings(id=None, time=None, key="dest"))
    assert disagreements(read, rules, named(by_chance(events, 100))) == []


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(EventSettings(id="carrier", time="dest"), id="columns of text are the id and the time"),
        pytest.param(EventSettings(key="event_id"), id="the id is the key"),
    ],
)
def test_a_field_that_both_the_envelope_and_the_signature_name_is_read_alike(
    read: Read, envelope: EventSettings
) -> None:
    times = [with_fields(f'"dest":"2013-01-01T05:15:00{zone}"') for zone in ("Z", "+02:00", "")]
    values = [*by_chance(events, 100), *times]
    assert disagreements(read, Rules(envelope), named(values)) == []


@pytest.mark.long
def test_ten_megabytes_are_read_alike(read: Read) -> None:
    values = {**huge(10 * MEGABYTE), "string too long": b'"' + b"x" * (MAX_STRING + 1) + b'"'}
    assert disagreements(read, Rules(max_value_bytes=32 * MEGABYTE), values) == []


def test_a_value_beyond_the_limit_is_not_looked_at(read: Read) -> None:
    values = {"at the limit": b"x" * 100, "beyond": b"x" * 101, "beyond and not UTF-8": b"\xff" * 101}
    assert disagreements(read, Rules(max_value_bytes=100), values) == []


def test_lists_of_numbers_are_read_alike(read: Read) -> None:
    assert disagreements(read, Rules(signature=LISTS), with_lists()) == []


KINDS = ("double", "float", "long", "integer", "boolean", "string")


@pytest.mark.parametrize("kind", names_with_seeds(KINDS, {"double", "string"}))
def test_columns_with_odd_names_are_read_like_others(read: Read, kind: ColumnType) -> None:
    names = ["a.b", "a b", "a`b", "it's", 'say "x"', "'\"", "ключ", "A", "[0]", "$", "a\\b", "\n", "", "r"]
    rules = Rules(signature=Signature(tuple(Column(name, kind, required=False) for name in names)))
    tokens = {"number": "1", "wrong": "[0]", "null": "null", "text": '"x"', "true": "true"}
    values = {f"{name!r}: {what}": with_envelope_and(name, token) for name in names for what, token in tokens.items()}
    assert disagreements(read, rules, values) == []


def with_envelope_and(name: str, token: str) -> bytes:
    """An event with one more field."""
    return with_envelope()[:-1] + f",{json.dumps(name)}:{token}}}".encode()
