"""Which offsets the fallback chain has answered, by plans and outcomes, and how a repair reads them."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.verbs.fallback.display import repair_sentences
from jobs.verbs.ledger.display import describe
from streaming.ledger.answered import answered_ranges, of_chain
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.replay.repair import Repair

CHAMPION, OTHER = ModelVersion("flights", 5), ModelVersion("flights", 4)
ALL = DegradedPart("TOO_SLOW", OTHER, CHAMPION)
Record = dict[str, Any]


def rows(*offsets: int, partition: int = 0) -> DegradedPart:
    default, score = ModelVersion("flights", 0), {"prediction": 1.0}
    return DegradedPart("THREW", default, CHAMPION, tuple((partition, offset) for offset in offsets), score)


def planned(number: int, *parts: DegradedPart, start: int = 0, end: int = 50) -> Record:
    return Plan(
        id=f"1.{number}",
        application="app",
        topic="features",
        topic_id="id",
        checkpoint="c",
        batch=number,
        ranges={0: OffsetRange(start, end), 1: OffsetRange(0, 0)},
        arms=PlannedArms.only(OTHER if ALL in parts else CHAMPION),
        at="2026-11-21T11:00:00.000Z",
        degraded=parts,
    ).to_dict()


def outcome(plan: int, *segments: tuple[int, int, int]) -> Record:
    written = [[f"1.{number}", start, end] for number, start, end in segments]
    return {"type": "outcome", "plan": f"1.{plan}", "partitions": {"0": {"segments": written}}, "at": ""}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([planned(1), outcome(1, (1, 0, 50))], [], id="the champion alone"),
        pytest.param([planned(1, ALL), outcome(1, (1, 0, 50))], [(0, 50)], id="a whole batch"),
        pytest.param([planned(1), planned(2, rows(7, 8, 20))], [(7, 9), (20, 21)], id="single rows, neighbours joined"),
        pytest.param(
            [planned(1), planned(2, ALL), outcome(2, (1, 0, 30), (2, 30, 50))],
            [(30, 50)],
            id="what the champion had written before stays its own",
        ),
        pytest.param(
            [planned(1, rows(7)), planned(2, rows(9)), outcome(2, (1, 0, 8), (2, 8, 50))],
            [(9, 10)],
            id="a row of the last plan alone",
        ),
        pytest.param([planned(1, ALL), planned(2, ALL, start=50, end=60)], [(0, 60)], id="batches one after the other"),
    ],
)
def test_what_the_chain_has_answered_is_read_from_plans_and_outcomes(
    records: list[Record], expected: list[tuple[int, int]]
) -> None:
    answered = answered_ranges(records, of_chain)
    assert [(each.offsets.start, each.offsets.end) for each in answered] == expected
    assert {each.weight_epoch for each in answered} <= {0}


def test_a_repair_reads_rows_near_each_other_in_one_stretch_and_is_known_again_as_the_chain_goes_on() -> None:
    first = Repair("chain", CHAMPION, answered_ranges([planned(1, rows(7, 20))], of_chain), kind="fallback")
    later = [planned(1, rows(7, 20)), planned(2, ALL, start=90_000, end=90_010)]
    second = Repair("chain", CHAMPION, answered_ranges(later, of_chain), kind="fallback")
    assert [segment.part for segment in first.plan.segments[0]] == [OffsetRange(7, 21)]
    assert [segment.part for segment in second.plan.segments[0]][1:] == [OffsetRange(90_000, 90_010)]
    assert first.plan.identity == second.plan.identity != Repair("chain", CHAMPION, first.ranges).plan.identity


def test_the_ledgers_lines_say_who_answers_what_and_why() -> None:
    assert "flights v4 answers all events in place of v5 (TOO_SLOW)" in describe(planned(1, ALL))
    line = describe(planned(1, rows(7, 8)))
    assert "the default score answers 2 events in place of v5 (THREW)" in line


RESULT = {
    "champion": "flights v5",
    "topic": "features",
    "dry_run": False,
    "events": 3,
    "ranges": [{"partition": 0, "start": 7, "end": 9}, {"partition": 1, "start": 1, "end": 2}],
    "removed": [],
    "predictions": 2,
    "offsets": 3,
    "seconds": 1.5,
}


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        pytest.param(
            {},
            "3 events of features were answered by the fallback chain. flights v5 has corrected 2 in 1.5 s.",
            id="some",
        ),
        pytest.param({"offsets": 0}, "An earlier run has corrected them; nothing was written.", id="none left"),
        pytest.param({"dry_run": True}, "flights v5 would score them again.", id="a dry run"),
    ],
)
def test_a_repair_says_what_it_has_done(changes: dict[str, Any], first: str) -> None:
    sentences = list(repair_sentences({**RESULT, **changes}))
    assert sentences[0].endswith(first)
    assert sentences[1:] == ["  partition 0, offsets 7 to 8", "  partition 1, offsets 1 to 1"]


def test_a_repair_of_many_ranges_shows_the_first_ones() -> None:
    ranges = [{"partition": 0, "start": start, "end": start + 1} for start in range(23)]
    sentences = list(repair_sentences({**RESULT, "ranges": ranges}))
    assert sentences[20:] == ["  partition 0, offsets 19 to 19", "  and 3 more ranges; --json has all"]
