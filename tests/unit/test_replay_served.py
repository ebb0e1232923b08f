"""Which version served which offsets: the ledger read as a whole says what it says offset by offset."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given

from streaming.errors import DataError
from streaming.ledger.lineage import Fate
from streaming.offsets import OffsetRange
from streaming.replay.chunks import Segment
from streaming.replay.served import ServingHistory, as_served
from tests.support.histories import FIRST, HISTORIES, History, played
from tests.support.laws import examples

SERVED_BEFORE = [("plan", 6), ("finish", 1)]
LOST_OUTCOME = [*SERVED_BEFORE, ("plan", 6), ("write", 6), ("lose_checkpoint", 1), ("plan", 5), ("finish", 1)]
RECORDED_TWICE = [("plan", 2), ("write", 2), ("record", 1), ("record", 1)]
GIVEN_UP = [("plan", 6), ("write", 2), ("roll_back", 1), ("write", 2), ("crash", 1), ("finish", 1), ("skip", 3)]


def served(history: History, part: OffsetRange, forgotten: int = 0) -> list[Segment]:
    books = ServingHistory(lambda: history.log[forgotten:], {0: history.mark}, complete=not forgotten)
    return as_served(books, "features", "id", {0: part})[0]


@given(HISTORIES)
@example(LOST_OUTCOME)
@example(GIVEN_UP)
@examples(300)
def test_the_segments_agree_with_what_is_answered_offset_by_offset(moves: list[tuple[str, int]]) -> None:
    history = played(moves)
    part = OffsetRange(0, history.mark.offset)
    result = {offset: s.by for s in served(history, part) for offset in range(s.part.start, s.part.end)}
    for offset in range(part.end):
        lineage = history.ask(offset)
        if lineage.plan is None:
            assert lineage.fate in (Fate.BEFORE_START, Fate.SKIPPED)
            assert offset not in result
        else:
            assert result[offset] == lineage.plan.arms


@given(HISTORIES)
@example(RECORDED_TWICE)
@examples(100)
def test_segments_are_in_order_and_as_long_as_their_version_served(moves: list[tuple[str, int]]) -> None:
    history = played(moves)
    segments = served(history, OffsetRange(0, history.mark.offset))
    for one, after in pairwise(segments):
        assert one.part.end <= after.part.start
        assert one.part.end < after.part.start or one.by != after.by


SERVED = [("plan", 6), ("finish", 1), ("plan", 4), ("finish", 1)]


@pytest.mark.parametrize(
    ("part", "forgotten", "message"),
    [
        pytest.param((FIRST, 99), 0, "offsets 15 to 98 are not scored yet", id="not scored yet"),
        pytest.param((FIRST, 15), 4, "offsets 5 to 10: the ledger does not go back that far", id="forgotten"),
    ],
)
def test_offsets_whose_version_nobody_knows_are_refused(part: Any, forgotten: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        served(played(SERVED), OffsetRange(*part), forgotten)


def test_another_topic_of_the_same_name_says_nothing() -> None:
    with pytest.raises(DataError, match="not scored yet"):
        served(played(SERVED, History("old")), OffsetRange(FIRST, 15))
