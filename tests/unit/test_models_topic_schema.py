"""A candidate's signature against what is on the topic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import CandidateRefusedError
from streaming.models.signature import Signature
from streaming.models.topic_schema import TopicCheck, unmet_columns
from streaming.settings import EventSettings
from tests.support.versions import FixedSample

BARE = EventSettings(id=None, time=None)


def unmet(features: dict[str, str], events: list[object], envelope: EventSettings = BARE) -> tuple[str, ...]:
    values = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return unmet_columns(Signature.from_config(features), values, envelope)


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("double", 1.5, True),
        ("double", 3, True),
        ("double", "1.5", False),
        ("double", True, False),
        ("float", 0.1, True),
        ("long", 2**40, True),
        ("long", 2**63, False),
        ("long", 1.0, False),
        ("integer", 2**31 - 1, True),
        ("integer", 2**31, False),
        ("integer", False, False),
        ("boolean", True, True),
        ("boolean", 1, False),
        ("string", "x", True),
        ("string", 7, False),
        ("string", {"a": 1}, False),
    ],
)
def test_a_value_fits_a_type_as_the_decoder_takes_it(kind: str, value: object, fits: bool) -> None:
    assert (unmet({"x": kind}, [{"x": value}]) == ()) is fits


def test_a_column_that_most_events_lack_is_named_with_its_counts() -> None:
    events: list[object] = [{"y": 1}, {"x": None}, {"x": 2.0}]
    assert unmet({"x": "double"}, events) == ("x is absent in 2 and not double in 0 of 3",)


def test_half_of_the_events_lacking_it_is_not_yet_most() -> None:
    assert unmet({"x": "double"}, [{"x": 1}, {}]) == ()


def test_an_optional_column_may_be_absent_but_not_of_another_type() -> None:
    assert unmet({"x": "double?"}, [{}, {"x": None}]) == ()
    assert unmet({"x": "double?"}, [{"x": "1"}]) != ()


def test_events_that_are_dead_letters_anyway_prove_nothing() -> None:
    broken: list[object] = [b"{", b"\xff\xfe", [1], 3, b"[" * 100_000, {"x": "1", "event_id": None}]
    envelope = EventSettings(time=None)
    assert unmet({"x": "double"}, [*broken, {"event_id": "a", "x": 1.0}], envelope) == ()


def test_an_empty_topic_accepts_every_signature() -> None:
    TopicCheck(FixedSample(), BARE).check(Signature.from_config({"x": "double"}))


def test_a_signature_the_topic_cannot_satisfy_is_refused_with_the_remedy() -> None:
    check = TopicCheck(FixedSample([b'{"x": "text"}']), BARE)
    with pytest.raises(CandidateRefusedError, match=r"SIGNATURE_MISMATCH.*x is absent.*Publish these columns first"):
        check.check(Signature.from_config({"x": "double"}))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_on_a_topic_can_break_the_check(values: list[bytes]) -> None:
    unmet_columns(Signature.from_config({"x": "double", "y": "string?"}), values, EventSettings())
