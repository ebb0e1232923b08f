"""Output rows to Kafka records: headers, partitions, sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from schemas import dead_letter, prediction
from streaming.delivery.marks import Writer
from streaming.delivery.outcome import AGE_BOUNDS, Outcome, count_ages
from streaming.delivery.write_order import Limits, WritePlan
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.envelope import Stamp
from streaming.outputs.headers import Headers
from streaming.outputs.records import records
from streaming.outputs.targets import NO_BOUND, Target, Targets
from tests.support.written import batch, row

VERSION = ModelVersion("flights", 4, "run4")


def plan(predictions: int = 4, letters: int = 2, largest: int = 10_000) -> WritePlan:
    targets = Targets(
        Target("out", predictions, largest), Target("dlq", letters, largest), Target("progress", 1, largest)
    )
    stamp = Stamp("features", VERSION, "champion", "2026-01-01T00:00:00.000Z")
    writer = Writer("app", "features", "id", 1)
    return WritePlan({}, writer, "1.1", stamp, {3: OffsetRange(0, 100)}, targets, Limits(1 << 20, 60_000))


class Sent(NamedTuple):
    """A record with names, for reading."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    reason: str


NOW = 10_000_000
"""Milliseconds since 1970."""


def made(*rows: dict[str, Any], mark: int = 0, orders: WritePlan | None = None) -> list[Sent]:
    return [
        Sent(*record)._replace(headers=written(record[5]))
        for record in records(batch(*rows), mark, orders or plan(), 3, NOW)
    ]


def written(headers: Headers) -> Headers:
    """As they stand in Kafka: text as UTF-8."""
    return [(key, value.encode() if isinstance(value, str) else value) for key, value in headers]


def test_a_prediction_carries_cloudevents_headers_and_its_source_position() -> None:
    (record,) = made(row(7))
    headers = dict(record.headers)
    assert headers[prediction.CE_ID] == b"flights:champion:features:3:7"
    assert headers[prediction.CE_SPECVERSION] == b"1.0"
    assert headers[prediction.CE_SUBJECT] == b"N1"
    assert headers[prediction.CE_TIME] == b"2013-01-01T05:15:00.000Z"
    position = (prediction.SOURCE_TOPIC, prediction.SOURCE_PARTITION, prediction.SOURCE_OFFSET)
    assert [headers[name] for name in position] == [b"features", b"3", b"7"]
    assert headers[prediction.BINS] == bytes([0, 255])
    assert (record.key, record.timestamp, record.reason) == (b"key", 1_000, "")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain"),
        pytest.param({"subject": None}, id="without a subject"),
        pytest.param({"traceparent": b"00-ab-cd-01", "tracestate": b"x=1"}, id="with a trace"),
        pytest.param({"timestamp": 0}, id="too old for its topic"),
    ],
)
def test_a_predictions_headers_stand_where_the_drift_query_looks_for_them(changes: dict[str, Any]) -> None:
    (record,) = made(row(7, **changes), orders=bounded(behind=3_600_000))
    names = [name for name, _ in record.headers]
    assert tuple(names[: len(prediction.HEADER_ORDER)]) == prediction.HEADER_ORDER
    assert names[-1] == prediction.BINS


def test_a_model_without_a_profile_sends_no_bins() -> None:
    (record,) = made(row(7, bins=None))
    assert prediction.BINS not in dict(record.headers)


def test_a_trace_is_passed_on() -> None:
    (record,) = made(row(7, traceparent=b"00-ab-cd-01", tracestate=b"x=1"))
    assert dict(record.headers)["traceparent"] == b"00-ab-cd-01"
    assert dict(record.headers)["tracestate"] == b"x=1"


def test_rows_below_the_mark_are_left_out() -> None:
    assert [dict(r.headers)[prediction.SOURCE_OFFSET] for r in made(row(1), row(2), row(5), mark=2)] == [b"2", b"5"]


def test_an_event_that_is_a_dead_letter_already_gets_a_prediction_or_nothing() -> None:
    rows = row(1, reason="SCORING_FAILED"), row(2, reason="SCORING_FAILED"), row(3), row(4)
    sent = made(*rows, orders=replace(plan(), lettered={3: frozenset({2, 4}), 0: frozenset({1})}))
    assert [(record.topic, record.reason) for record in sent] == [("dlq", "SCORING_FAILED"), ("out", ""), ("out", "")]


@pytest.mark.parametrize(("partitions", "expected"), [(4, 3), (3, 0), (1, 0)], ids=["as many", "fewer", "one"])
def test_the_output_partition_follows_the_input(partitions: int, expected: int) -> None:
    (record,) = made(row(1), orders=plan(predictions=partitions))
    assert record.partition == expected


def test_a_dead_letter_keeps_its_headers_and_says_why() -> None:
    own = [{"key": "a", "value": b"1"}, {"key": "a", "value": None}]
    (record,) = made(row(7, reason="WRONG_TYPE", field="distance", headers=own, value=b"raw"))
    assert record.headers[:2] == [("a", b"1"), ("a", None)]
    headers = dict(record.headers)
    assert headers[dead_letter.REASON] == b"WRONG_TYPE"
    assert headers[dead_letter.FIELD] == b"distance"
    assert headers[dead_letter.ERROR_OFFSET] == b"7"
    assert headers[dead_letter.ERROR_STAGE] == b"VALIDATION"
    assert headers[dead_letter.REJECTED_AT] == b"2026-01-01T00:00:00.000Z"
    assert (record.topic, record.value, record.reason) == ("dlq", b"raw", "WRONG_TYPE")


def test_a_dead_letter_says_its_time_and_that_of_the_scored_event_before_it_or_else_after_it() -> None:
    minutes = [f"2013-01-01T05:{minute:02}:00.000Z" for minute in range(6)]
    rows = [
        row(1, reason="TOMBSTONE", event_time=None),
        row(2, event_time=minutes[2]),
        row(3, event_time=minutes[3]),
        row(4, reason="WRONG_TYPE", event_time=minutes[0]),
        row(5, reason="OVERSIZE", event_time=None),
    ]
    names = (dead_letter.EVENT_TIME, dead_letter.STREAM_TIME)
    for mark in (0, 4):
        letters = [dict(record.headers) for record in made(*rows, mark=mark) if record.reason]
        times = [tuple(letter.get(name) for name in names) for letter in letters]
        before, beside = (minutes[position].encode() for position in (2, 3))
        assert times == [(None, before), (minutes[0].encode(), beside), (None, beside)][-len(times) :]
        assert len(times) == (3 if mark == 0 else 2)


def test_a_dead_letter_with_no_scored_event_beside_it_has_no_stream_time() -> None:
    for record in made(row(1, reason="TOMBSTONE", event_time=None), row(2, reason="OVERSIZE", event_time=None)):
        assert not {dead_letter.EVENT_TIME, dead_letter.STREAM_TIME} & dict(record.headers).keys()


@pytest.mark.parametrize(
    ("reason", "value", "hinted"),
    [
        pytest.param("MALFORMED_JSON", b'\0\0\0\0\7{"a": 1}', True, id="Confluent's framing"),
        pytest.param("INVALID_UTF8", b"\0\0\0\0\xc8{}", True, id="with an id that is no text"),
        pytest.param("MALFORMED_JSON", b"{", False, id="JSON cut off"),
        pytest.param("INVALID_UTF8", b"\xff", False, id="no text"),
        pytest.param("OVERSIZE", b"\0", False, id="another reason"),
        pytest.param("MALFORMED_JSON", b"", False, id="empty"),
        pytest.param("TOMBSTONE", None, False, id="no value"),
    ],
)
def test_a_value_in_a_schema_registrys_framing_gets_a_hint(reason: str, value: bytes | None, hinted: bool) -> None:
    own = [{"key": dead_letter.ERROR_MESSAGE, "value": b"earlier"}]
    (record,) = made(row(7, reason=reason, headers=own, value=value))
    assert record.headers[0] == (dead_letter.ERROR_MESSAGE, b"earlier")
    message = dict(record.headers)[dead_letter.ERROR_MESSAGE]
    assert isinstance(message, bytes)
    assert message.endswith(b"which Penstock does not read") == hinted
    assert message.startswith(dead_letter.describe(dead_letter.Reason(reason)).encode())


def test_a_dead_letter_that_was_sent_back_as_it_is_keeps_its_earlier_error_headers_before_the_new_ones() -> None:
    own = [{"key": dead_letter.ERROR_TOPIC, "value": b"earlier"}, {"key": dead_letter.REASON, "value": b"OVERSIZE"}]
    (record,) = made(row(7, reason="TOMBSTONE", headers=own))
    assert [value for key, value in record.headers if key == dead_letter.ERROR_TOPIC] == [b"earlier", b"features"]
    assert dict(record.headers)[dead_letter.REASON] == b"TOMBSTONE"


def test_a_dead_letter_too_large_for_its_topic_keeps_its_position_and_drops_its_value() -> None:
    (record,) = made(row(7, reason="OVERSIZE", value=b"x" * 20_000))
    assert record.value is None
    assert dict(record.headers)[dead_letter.VALUE_OMITTED] == b"true"
    assert record.key == b"key"


@pytest.mark.parametrize(
    ("key", "own", "has_key", "has_own"),
    [
        pytest.param(b"k", b"x", True, True, id="both are small"),
        pytest.param(b"k", b"x" * 20_000, True, False, id="the headers are large"),
        pytest.param(b"k" * 5_000, b"x" * 6_000, True, False, id="together they are too large"),
        pytest.param(b"k" * 20_000, b"x", False, False, id="the key is large"),
    ],
)
def test_a_dead_letter_that_does_not_fit_without_its_value_goes_without_its_headers_and_then_its_key(
    key: bytes, own: bytes, has_key: bool, has_own: bool
) -> None:
    large = row(7, reason="TOMBSTONE", value=b"x" * 20_000, key=key, headers=[{"key": "own", "value": own}])
    (record,) = made(large)
    assert (record.value, record.key) == (None, key if has_key else None)
    assert ("own" in dict(record.headers)) == has_own
    assert dict(record.headers)[dead_letter.VALUE_OMITTED] == b"true"
    assert dict(record.headers)[dead_letter.ERROR_OFFSET] == b"7", "where the event is"
    assert len(record.key or b"") + sum(len(name) + len(word or b"") for name, word in record.headers) < 10_000


def bounded(behind: int = NO_BOUND, ahead: int = NO_BOUND) -> WritePlan:
    orders = plan()
    targets = orders.targets
    to, dead = (
        replace(target, behind_ms=behind, ahead_ms=ahead) for target in (targets.predictions, targets.dead_letters)
    )
    return replace(orders, targets=replace(targets, predictions=to, dead_letters=dead))


@pytest.mark.parametrize("reason", [None, "WRONG_TYPE"], ids=["a prediction", "a dead letter"])
@pytest.mark.parametrize(
    ("timestamp", "orders", "is_taken"),
    [
        pytest.param(NOW + 7_200_000, plan(), True, id="ahead and no bound"),
        pytest.param(0, plan(), True, id="old and no bound"),
        pytest.param(NOW + 3_000_000, bounded(ahead=3_600_000), True, id="ahead within the bound"),
        pytest.param(NOW + 7_200_000, bounded(ahead=3_600_000), False, id="ahead beyond the bound"),
        pytest.param(NOW + 3_599_000, bounded(ahead=3_600_000), False, id="so close that the broker may refuse it"),
        pytest.param(NOW - 3_000_000, bounded(behind=3_600_000), True, id="old within the bound"),
        pytest.param(NOW - 7_200_000, bounded(behind=3_600_000), False, id="old beyond the bound"),
        pytest.param(NOW - 3_599_000, bounded(behind=3_600_000), False, id="so close that it will be too old"),
    ],
)
def test_a_timestamp_that_the_topic_does_not_take_gives_way_to_the_time_of_writing(
    reason: str | None, timestamp: int, orders: WritePlan, is_taken: bool
) -> None:
    (record,) = made(row(7, reason=reason, timestamp=timestamp), orders=orders)
    own = dict(record.headers).get(dead_letter.ORIGINAL_TIMESTAMP)
    assert (record.timestamp, own) == ((timestamp, None) if is_taken else (NOW, str(timestamp).encode()))


def test_a_batch_of_records_is_no_larger_than_the_smallest_limit_of_a_topic() -> None:
    targets = Targets(Target("out", 1, 50_000), Target("dlq", 1, 1_000_000), Target("progress", 1, 900_000))
    assert 40_000 < targets.batch_bytes < 50_000
    assert Limits(1, 1, targets.batch_bytes).client()["batch.size"] == str(targets.batch_bytes)


def test_every_reason_has_a_stage_and_a_sentence() -> None:
    for reason in dead_letter.Reason:
        assert dead_letter.STAGE[reason]
        assert dead_letter.describe(reason, "")


def test_outcomes_add_up_whatever_the_order() -> None:
    parts = [Outcome(2, {"A": 1}, transactions=1, phases={"p": 1.0}), Outcome(1, {"A": 2, "B": 1}), Outcome(skipped=4)]
    forward, backward = sum(parts, Outcome()), sum(reversed(parts), Outcome())
    assert forward == backward
    assert (forward.predictions, forward.dead_letters, forward.rows) == (3, {"A": 3, "B": 1}, 11)
    assert Outcome.from_json(forward.to_json()) == forward


def test_ages_are_counted_from_the_mark_on() -> None:
    counted = count_ages([batch(row(1), row(2), row(3, timestamp=2_000))], mark=2, now_ms=2_000)
    assert sum(counted.ages) == 2
    assert counted.ages[AGE_BOUNDS.index(1.0)] == 1
    assert counted.age_sum == pytest.approx(1.0)
