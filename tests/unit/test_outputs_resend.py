"""Dead letters read back: own and added headers told apart, selected, and sent again as they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import dead_letter as contract
from schemas.dead_letter import Reason, Rejection
from streaming.models.ref import ModelVersion
from streaming.outputs import headers
from streaming.outputs.dead_letters import UNKNOWN, DeadLetter, Headers, Place, Selection
from streaming.outputs.envelope import Stamp
from streaming.outputs.resend import Left, Replayed, Rules, decide
from streaming.outputs.targets import Target

STAMP = Stamp("features", ModelVersion("flights", 3, "run3"), "champion", "2026-01-01T00:00:00.000Z")
TO = Target("features", 4, 1_000_000)
WITHOUT_VALUE = ((contract.ERROR_TOPIC, b"features"), (contract.VALUE_OMITTED, b"true"))
ADDED = (contract.ERROR_TOPIC, contract.REASON, contract.REJECTED_AT, contract.FIELD, contract.VALUE_OMITTED)

MISTYPED = Rejection(Reason.WRONG_TYPE.value, "carrier")

names = st.text(max_size=20) | st.sampled_from(ADDED)
own_headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=20)), max_size=6).map(tuple)
payloads = st.none() | st.binary(max_size=50)


def letter(own: Headers = (), rejection: Rejection = MISTYPED, **changes: Any) -> DeadLetter:
    """What the job makes of an event at features 3:7, as it stands on the topic."""
    made = headers.rejected(own, rejection, ("features", 3, 7), "app", STAMP)
    written = tuple((name, word.encode() if isinstance(word, str) else word) for name, word in made)
    return replace(DeadLetter(Place(1, 40), 5_000, b"k", b"v", written), **changes)


def sent(found: Replayed | Left) -> Replayed:
    assert isinstance(found, Replayed)
    return found


@given(own_headers, st.sampled_from(list(Reason)), st.sampled_from([None, "carrier"]))
def test_own_headers_are_told_from_the_added_ones_whatever_they_are_called(
    own: Headers, reason: Reason, field: str | None
) -> None:
    made = letter(own, Rejection(reason.value, field))
    assert made.own == own
    assert (made.reason, made.source_topic, made.source) == (reason.value, "features", Place(3, 7))
    assert made.message == contract.describe(reason, field)
    assert made.rejected_at == datetime(2026, 1, 1, tzinfo=timezone.utc)


@given(own_headers, payloads, payloads)
def test_what_is_sent_is_what_arrived_byte_for_byte(own: Headers, key: bytes | None, value: bytes | None) -> None:
    record = sent(decide(letter(own, key=key, value=value), TO, (), Rules()))
    assert (record.topic, record.partition, record.key, record.value) == ("features", 3, key, value)
    assert record.headers == (*own, (contract.REPLAYS, b"1"), (contract.ORIGINAL_TIMESTAMP, b"5000"))
    assert record.timestamp is None


@given(own_headers, st.integers(0, 5))
def test_an_event_that_fails_again_and_again_is_sent_no_more_than_allowed(own: Headers, most: int) -> None:
    made, times = letter(own, timestamp=5_000), 0
    while isinstance(result := decide(made, TO, (), Rules(max_replays=most)), Replayed):
        times += 1
        assert result.headers[-2:] == ((contract.REPLAYS, b"%d" % times), (contract.ORIGINAL_TIMESTAMP, b"5000"))
        assert result.headers[:-2] == own
        made = letter(result.headers, timestamp=9_000 + times)
    assert (result, times) == (Left.TOO_OFTEN, most)


@pytest.mark.parametrize(
    ("made", "rules", "expected"),
    [
        pytest.param(letter(), Rules(), Left.SENT_BEFORE, id="sent before"),
        pytest.param(letter(headers=WITHOUT_VALUE), Rules(again=True), Left.VALUE_OMITTED, id="without its value"),
        pytest.param(letter(value=b"x" * 1_000_000), Rules(again=True), Left.TOO_LARGE, id="too large"),
    ],
)
def test_some_are_left(made: DeadLetter, rules: Rules, expected: Left) -> None:
    assert decide(made, TO, {Place(1, 40)}, rules) is expected


@pytest.mark.parametrize(("key", "compacted"), [(None, True), (None, False), (b"k", True)])
def test_an_event_without_a_key_is_left_where_the_topic_is_compacted(key: bytes | None, compacted: bool) -> None:
    result = decide(letter(key=key), replace(TO, compacted=compacted), (), Rules())
    assert (result is Left.NO_KEY) == (key is None and compacted)


def test_again_sends_what_was_sent_before() -> None:
    assert sent(decide(letter(), TO, {Place(1, 40)}, Rules(again=True))).value == b"v"


@pytest.mark.parametrize(("partitions", "expected"), [(4, 3), (3, None)], ids=["it is there", "it is not"])
def test_the_partition_is_kept_where_the_topic_has_it(partitions: int, expected: int | None) -> None:
    assert sent(decide(letter(), replace(TO, partitions=partitions), (), Rules())).partition == expected


def test_a_timestamp_that_is_the_event_time_is_kept() -> None:
    assert sent(decide(letter(), TO, (), Rules(keep_timestamp=True))).timestamp == 5_000


@pytest.mark.parametrize(
    "headers", [(), (("h", b"\xff"),), ((contract.REPLAYS, b"many"),)], ids=["none", "h", "no number"]
)
def test_a_record_that_something_else_wrote_is_a_dead_letter_of_unknown_reason(headers: Headers) -> None:
    made = DeadLetter(Place(0, 1), -1, None, None, headers)
    assert (made.own, made.reason, made.source, made.source_topic, made.replays) == (headers, UNKNOWN, None, None, 0)
    assert made.rejected_at == datetime(1970, 1, 1, tzinfo=timezone.utc)


NEW_YEAR = datetime(2026, 1, 1, tzinfo=timezone.utc)
LATER = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        pytest.param(Selection(), True, id="everything"),
        pytest.param(Selection(reasons=frozenset({"WRONG_TYPE", "OVERSIZE"})), True, id="its reason"),
        pytest.param(Selection(reasons=frozenset({"OVERSIZE"})), False, id="another reason"),
        pytest.param(Selection(since=NEW_YEAR), True, id="since the moment itself"),
        pytest.param(Selection(since=LATER), False, id="since later"),
        pytest.param(Selection(until=LATER), True, id="until later"),
        pytest.param(Selection(until=NEW_YEAR), False, id="until the moment itself"),
        pytest.param(Selection(partitions=frozenset({1})), True, id="its partition"),
        pytest.param(Selection(partitions=frozenset({0})), False, id="another partition"),
        pytest.param(Selection(places=frozenset({Place(1, 40), Place(0, 2)})), True, id="its place"),
        pytest.param(Selection(places=frozenset({Place(1, 41)})), False, id="another place"),
    ],
)
def test_a_selection_takes(selection: Selection, expected: bool) -> None:
    assert selection.takes(letter()) is expected
    offsets = selection.offsets(1)
    assert not expected or offsets is None or 40 in offsets


def test_only_the_offsets_that_are_asked_for_are_read() -> None:
    places = Selection(places=frozenset({Place(0, 5), Place(0, 9), Place(2, 1)}))
    assert [places.offsets(partition) for partition in range(3)] == [range(5, 10), range(0), range(1, 2)]
    assert Selection(partitions=frozenset({1})).offsets(0) == range(0)
    assert 10**12 in Selection().offsets(0)
