"""What the ledger says of an offset, against histories whose truth is known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.delivery.marks import Mark
from streaming.ledger.lineage import Certainty, Fate, OffsetLookup, Position
from streaming.offsets import OffsetRange
from tests.support.histories import AT, FIRST, HISTORIES, STEP, History, played
from tests.support.laws import examples

THRICE = [("plan", 6), ("write", 2), ("roll_back", 1), ("roll_back", 1), ("write", 2), ("crash", 1), ("finish", 1)]


@given(HISTORIES)
@example(THRICE)
@examples(500)
def test_the_answer_is_the_truth_or_says_what_else_it_may_be(moves: list[tuple[str, int]]) -> None:
    history = played(moves)
    for offset in range(history.mark.offset + 3):
        result = history.ask(offset)
        if offset < FIRST:
            assert result.fate is Fate.BEFORE_START
        elif offset in history.skipped:
            assert result.fate is Fate.SKIPPED
        elif offset >= history.mark.offset:
            assert result.fate is Fate.PENDING
        else:
            assert result.plan is not None
            true = history.truth[offset]
            assert true == result.plan.id or true in {plan.id for plan in result.others}
            assert result.certainty is Certainty.PLANNED or not result.others


@given(st.lists(STEP.filter(lambda step: step[0] != "roll_back"), max_size=40))
@examples(300)
def test_the_answer_is_the_truth_alone_where_no_version_was_given_up(moves: list[tuple[str, int]]) -> None:
    history = played(moves)
    for offset, plan in history.truth.items():
        result = history.ask(offset)
        assert result.plan is not None
        assert (result.plan.id, result.plan.version.version) == (plan, version_of(history, plan))


@given(HISTORIES, st.integers(1, 30))
@examples(300)
def test_a_ledger_that_has_forgotten_its_oldest_records_is_never_wrong(
    moves: list[tuple[str, int]], forgotten: int
) -> None:
    history = played(moves)
    for offset, true in history.truth.items():
        result = history.ask(offset, forgotten)
        assert result.fate in (Fate.WRITTEN, Fate.FORGOTTEN)
        if result.plan is not None:
            assert true == result.plan.id or true in {plan.id for plan in result.others}


def version_of(history: History, plan: str) -> int:
    return next(int(record["version"]) for record in history.log if record.get("plan") == plan)


RECORDED, PLANNED = Certainty.RECORDED, Certainty.PLANNED
ROLLED_BACK = [("plan", 6), ("write", 2), ("roll_back", 1), ("write", 2)]
LOST = ("lose_checkpoint", 1)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        pytest.param([("plan", 6), ("finish", 1)], [("1.1", RECORDED, [])], id="an outcome tells"),
        pytest.param([("plan", 6), ("write", 6)], [("1.1", RECORDED, [])], id="the mark tells"),
        pytest.param(
            [*ROLLED_BACK, ("finish", 1)],
            [("1.1", RECORDED, []), ("1.2", RECORDED, [])],
            id="a batch was finished by another version than it was begun with",
        ),
        pytest.param(
            [("plan", 6), ("write", 2), LOST, ("plan", 1), ("finish", 1)],
            [("1.1", PLANNED, []), ("2.1", RECORDED, [])],
            id="the outcome went with the checkpoint and one plan is left",
        ),
        pytest.param(
            [*ROLLED_BACK, LOST],
            [("1.1", PLANNED, []), ("1.2", RECORDED, [])],
            id="what the mark says of the later offsets tells who wrote the earlier",
        ),
        pytest.param(
            [*ROLLED_BACK, LOST, ("plan", 1), ("finish", 1)],
            [("1.2", PLANNED, ["1.1"]), ("1.2", PLANNED, ["1.1"])],
            id="two plans are left and nothing tells them apart",
        ),
        pytest.param(
            THRICE,
            [("1.2", PLANNED, ["1.1"]), ("1.3", RECORDED, [])],
            id="of three plans for a batch the outcome names the last alone",
        ),
    ],
)
def test_how_a_plan_is_known(moves: list[tuple[str, int]], expected: list[tuple[str, Certainty, list[str]]]) -> None:
    """Asked of the offset that was written first, and of the third after it."""
    history = played(moves)
    answers = [history.ask(FIRST + 2 * number) for number in range(len(expected))]
    reported = [(a.plan.id, a.certainty, [other.id for other in a.others]) for a in answers if a.plan]
    assert reported == expected


def test_an_outcome_tells_when_and_under_which_lease_it_was_recorded() -> None:
    result = played([("plan", 6), ("crash", 1), ("finish", 1)]).ask(FIRST)
    assert (result.recorded_at, result.epoch, result.segment) == (AT, 2, OffsetRange(FIRST, FIRST + 6))
    assert result.since == AT


@pytest.mark.parametrize(
    ("topic_id", "plan"), [("old", "1.1"), ("id", "2.1"), ("", "2.1")], ids=["old", "present", "latest"]
)
def test_a_topic_that_was_made_anew_is_another_topic(topic_id: str, plan: str) -> None:
    before = played([("plan", 6), ("finish", 1)], History("old"))
    now = played([("plan", 5), ("finish", 1)], History("id", before.epoch))
    lookup = OffsetLookup(Position("features", topic_id, 0, FIRST))
    for record in [*before.log, *now.log]:
        lookup.add(record)
    result = lookup.answer(now.mark, complete=True)
    assert result.plan is not None
    assert result.plan.id == plan


def restarted(history: History, start: int, **more: Any) -> History:
    """As if all before had gone with the ledger's oldest records, and the marks once had to be set at ``start``."""
    where = {"topic": "features", "topic_id": history.topic_id, "starts": {"0": start}}
    history.log = [{"type": "start", **where, **more, "at": AT}, *history.log[2:]]
    return history


@pytest.mark.parametrize(
    ("history", "mark", "fate"),
    [
        pytest.param(restarted(played([]), FIRST + 1), None, Fate.BEFORE_START, id="below a start"),
        pytest.param(
            restarted(played([]), FIRST + 1, restored=True), 100, Fate.FORGOTTEN, id="below marks that were restored"
        ),
        pytest.param(
            played([("plan", 6), ("write", 6), LOST, ("plan", 6)]), None, Fate.FORGOTTEN, id="no mark: passed"
        ),
        pytest.param(played([("plan", 6), LOST]), None, Fate.PENDING, id="no mark: not passed"),
        pytest.param(played([("plan", 6)], History("old")), 100, Fate.PENDING, id="another topic's mark"),
    ],
)
def test_an_incomplete_ledger_and_marks_that_say_nothing(history: History, mark: int | None, fate: Fate) -> None:
    lookup = OffsetLookup(Position("features", history.topic_id, 0, FIRST))
    for record in history.log:
        lookup.add(record)
    now = None if mark is None else Mark.at(mark, History("id").writer)
    assert lookup.answer(now, complete=False).fate is fate
