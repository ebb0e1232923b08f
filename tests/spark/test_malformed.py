"""What the JVM makes of malformed events, held against the decoder of one process, which is written independently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError
from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.formats.json.rows import JsonRowDecoder, Judgement
from streaming.formats.json.strict import MAX_STRING
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings
from tests.support.damage import damaged, drawn, events
from tests.support.malformed import CASES, EPOCHS, NOT_UTF8, SIGNATURE, huge, with_envelope, with_fields
from tests.support.records import bits, records_frame, verdict_text

SAFE = {"string": "SAFE", "double": -1.5, "float": -1.5, "integer": -1, "long": -1, "boolean": False}
DEFAULT = EventSettings()
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Court:
    """The decoder and the reference, which must come to one judgement."""

    spark: SparkSession
    envelope: EventSettings = DEFAULT
    signature: Signature = SIGNATURE
    max_value_bytes: int = MEGABYTE

    def disagreements(self, values: Mapping[str, bytes | None]) -> list[str]:
        """Say of each value on which the two differ how; all are decoded by one Spark job."""
        safe = {column.name: SAFE[column.type] for column in self.signature.columns}
        decoder = JsonDecoder(self.signature, self.envelope, self.max_value_bytes, safe)
        frame = decoder(records_frame(self.spark, values.values()))
        # As text, because a rejected event may have a time that Python cannot hold.
        rows = frame.withColumn(c.EVENT_TIME, F.col(c.EVENT_TIME).cast("string")).collect()
        assert [row[c.OFFSET] for row in rows] == list(range(len(values)))
        reference = JsonRowDecoder(self.signature, self.envelope, self.max_value_bytes)
        found = []
        for (name, value), row in zip(values.items(), rows, strict=True):
            assert (row[c.VALUE] if value is None else bytes(row[c.VALUE])) == value
            found += [f"{name}: {text}" for text in self._differences(reference.judge(value), row, safe)]
        return found

    def _differences(self, wanted: Judgement, row: Row, safe: Mapping[str, Any]) -> Iterator[str]:
        verdict = verdict_text(row)
        if verdict is not None or wanted.problems:
            if verdict != (str(wanted.problems[0]) if wanted.problems else None):
                yield f"{verdict} instead of the first of {[str(problem) for problem in wanted.problems]}"
            if verdict is not None:
                yield from (f"{name} is not masked" for name in safe if row[name] != safe[name])
            return
        for name, value in {**wanted.envelope, **{name: wanted.values[name] for name in safe}}.items():
            got, expected = row[name], _spelled(value) if isinstance(value, datetime) else value
            if bits(got) != bits(expected):
                yield f"{name} is {got!r} instead of {expected!r}"


def _spelled(moment: datetime) -> str:
    """Write a time as Spark's cast to text does."""
    text = moment.isoformat(" ")
    return text.rstrip("0") if moment.microsecond else text


def named(values: list[bytes]) -> dict[str, bytes | None]:
    """Each value under its own bytes, which is what a failure must show."""
    return {f"{number} {value!r}": value for number, value in enumerate(values)}


def test_every_case_is_judged_as_a_strict_parser_judges_it(spark: SparkSession) -> None:
    assert Court(spark).disagreements(CASES) == []


@pytest.mark.parametrize("number", range(4))
def test_damaged_events_by_chance_are_judged_alike(spark: SparkSession, number: int) -> None:
    assert Court(spark).disagreements(named(drawn(damaged(), 400, number))) == []


def test_events_by_chance_are_read_alike_to_the_bit(spark: SparkSession) -> None:
    values = drawn(events(), 400)
    judge = JsonRowDecoder(SIGNATURE, DEFAULT, MEGABYTE).judge
    assert sum(not judge(value).problems for value in values) > 100
    assert Court(spark).disagreements(named(values)) == []


def test_times_in_milliseconds_are_read_alike_and_none_stops_the_job(spark: SparkSession) -> None:
    court = Court(spark, EventSettings(time_format="epoch_ms"))
    assert court.disagreements({token: with_envelope(event_time=token) for token in EPOCHS}) == []


def test_a_key_in_the_value_and_an_envelope_without_id_and_time_are_read_alike(spark: SparkSession) -> None:
    values = drawn(events(), 100)
    assert Court(spark, EventSettings(id=None, time=None, key="dest")).disagreements(named(values)) == []


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(EventSettings(id="carrier", time="dest"), id="columns of text are the id and the time"),
        pytest.param(EventSettings(key="event_id"), id="the id is the key"),
    ],
)
def test_a_field_that_both_the_envelope_and_the_signature_name_is_read_alike(
    spark: SparkSession, envelope: EventSettings
) -> None:
    times = [with_fields(f'"dest":"2013-01-01T05:15:00{zone}"') for zone in ("Z", "+02:00", "")]
    values = [*drawn(events(), 100), *times]
    assert Court(spark, envelope).disagreements(named(values)) == []


def test_ten_megabytes_are_read_alike(spark: SparkSession) -> None:
    values = {**huge(10 * MEGABYTE), "string too long": b'"' + b"x" * (MAX_STRING + 1) + b'"'}
    assert Court(spark, max_value_bytes=32 * MEGABYTE).disagreements(values) == []


def test_a_value_beyond_the_limit_is_not_looked_at(spark: SparkSession) -> None:
    values = {"at the limit": b"x" * 100, "beyond": b"x" * 101, "beyond and not UTF-8": b"\xff" * 101}
    assert Court(spark, max_value_bytes=100).disagreements(values) == []


@pytest.mark.parametrize("kind", ["double", "float", "long", "integer", "boolean", "string"])
def test_columns_with_odd_names_are_read_like_others(spark: SparkSession, kind: ColumnType) -> None:
    names = ["a.b", "a b", "a`b", "it's", 'say "x"', "'\"", "ключ", "A", "[0]", "$", "a\\b", "\n", "", "r"]
    court = Court(spark, signature=Signature(tuple(Column(name, kind, required=False) for name in names)))
    tokens = {"number": "1", "wrong": "[0]", "null": "null", "text": '"x"', "true": "true"}
    values = {f"{name!r}: {what}": with_envelope_and(name, token) for name in names for what, token in tokens.items()}
    assert court.disagreements(values) == []


def with_envelope_and(name: str, token: str) -> bytes:
    """An event with one more field."""
    return with_envelope()[:-1] + f",{json.dumps(name)}:{token}}}".encode()


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
        JsonDecoder(signature, envelope, MEGABYTE, dict.fromkeys(names, ""))


def test_text_that_is_not_utf8_in_the_record_s_key_leaves_no_subject(spark: SparkSession) -> None:
    frame = records_frame(spark, [with_envelope()] * len(NOT_UTF8)).drop("key")
    keys = spark.createDataFrame(list(enumerate(NOT_UTF8.values())), "offset long, key binary")
    rows = JsonDecoder(Signature(()), EventSettings(), MEGABYTE, {})(frame.join(keys, "offset")).collect()
    assert set(chain.from_iterable((row[c.SUBJECT], verdict_text(row)) for row in rows)) == {None}
