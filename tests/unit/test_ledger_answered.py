"""Which offsets a rollout's candidate has answered, by what plans and outcomes say of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.ledger.answered import AnsweredOffsets
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelKey, ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION

AT = "2026-11-21T11:00:00.000Z"
OLD, NEW = ModelVersion("flights", 1), ModelVersion("flights", 2)
Record = dict[str, Any]


def planned(number: int, epoch: int, *parts: tuple[int, int], share: float | None = 0.25, topic: str = "id") -> Record:
    """A plan of a rollout's step; without a share the candidate has all events, with 0 it only stands by."""
    weights = WeightEpoch("flights-2", epoch)
    if share is None:
        arms = PlannedArms((PlannedArm(NEW),), weights=weights)
    else:
        assignment = ArmAssignment("salt", ALL_CHAMPION.changed_to({"candidate": share}))
        arms = PlannedArms((PlannedArm(OLD), PlannedArm(NEW, "candidate")), assignment, weights)
    return _plan(number, arms, parts, topic)


def champions(number: int, *parts: tuple[int, int], topic: str = "id") -> Record:
    """A plan of the champion alone."""
    return _plan(number, PlannedArms.only(OLD), parts, topic)


def _plan(number: int, arms: PlannedArms, parts: tuple[tuple[int, int], ...], topic: str) -> Record:
    ranges = {partition: OffsetRange(*part) for partition, part in enumerate(parts)}
    return Plan(
        id=f"1.{number}",
        application="app",
        topic="features",
        topic_id=topic,
        checkpoint="c",
        batch=number,
        ranges=ranges,
        arms=arms,
        at=AT,
    ).to_dict()


def outcome(plan: int, *segments: tuple[int, int, int], partition: int = 0) -> Record:
    """What was written by which plans, each as number, start and end."""
    written = [[f"1.{number}", start, end] for number, start, end in segments]
    return {"type": "outcome", "plan": f"1.{plan}", "partitions": {str(partition): {"segments": written}}, "at": AT}


def ranges(*records: Record) -> list[tuple[int, int, int, int]]:
    """Partition, offsets and weight epoch of each range."""
    answered = offsets(*records).ranges()
    return [(each.partition, each.offsets.start, each.offsets.end, each.weights.epoch) for each in answered]


def offsets(*records: Record) -> AnsweredOffsets:
    answered = AnsweredOffsets("flights-2", ModelKey("flights", 2))
    for record in records:
        answered.add(record)
    return answered


@pytest.mark.parametrize(
    ("records", "is_live"),
    [
        pytest.param([planned(1, 1, (0, 9)), outcome(1, (1, 0, 9))], False, id="batches"),
        pytest.param([planned(1, 1, (0, 9)), {**outcome(1, (1, 0, 9)), "arms": {}}], True, id="a real-time query"),
        pytest.param(
            [planned(1, 1, (0, 9)), champions(2, (9, 20)), {**outcome(2, (2, 9, 20)), "arms": {}}],
            False,
            id="a query of another rollout",
        ),
    ],
)
def test_ranges_that_may_be_too_small_are_told(records: list[Record], is_live: bool) -> None:
    assert offsets(*records).is_live == is_live


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([champions(1, (0, 9))], [], id="before the rollout"),
        pytest.param([planned(1, 1, (0, 9), share=0.0)], [], id="without keys"),
        pytest.param([planned(1, 1, (0, 9), (4, 6)), outcome(1, (1, 0, 9))], [(0, 0, 9, 1), (1, 4, 6, 1)], id="a step"),
        pytest.param([planned(1, 1, (0, 9)), planned(2, 1, (9, 20))], [(0, 0, 20, 1)], id="neighbours are one"),
        pytest.param(
            [planned(1, 1, (0, 9)), planned(2, 2, (9, 20), share=0.5)], [(0, 0, 9, 1), (0, 9, 20, 2)], id="two steps"
        ),
        pytest.param([planned(1, 3, (0, 9), share=None)], [(0, 0, 9, 3)], id="with every event"),
        pytest.param([planned(1, 1, (0, 9)), planned(2, 1, (0, 9))], [(0, 0, 9, 1)], id="tried again after a crash"),
        pytest.param(
            [planned(1, 1, (0, 9)), champions(2, (0, 9)), outcome(2, (2, 0, 9))], [], id="the champion took all of it"
        ),
        pytest.param(
            [planned(1, 1, (0, 9)), champions(2, (0, 9)), outcome(2, (1, 0, 4), (2, 4, 9))],
            [(0, 0, 4, 1)],
            id="the champion finished it",
        ),
        pytest.param([planned(1, 1, (0, 9)), champions(2, (0, 9))], [(0, 0, 9, 1)], id="who wrote it is not recorded"),
        pytest.param(
            [planned(1, 1, (0, 9)), champions(2, (0, 9), topic="other"), outcome(2, (2, 0, 9))],
            [(0, 0, 9, 1)],
            id="the topic was made anew",
        ),
    ],
)
def test_the_ranges_are_what_the_candidate_may_have_answered(
    records: list[Record], expected: list[tuple[int, int, int, int]]
) -> None:
    assert ranges(*records) == expected


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=30))
def test_batch_after_batch_the_ranges_are_those_of_the_candidates_batches(batches: list[tuple[bool, int]]) -> None:
    records: list[Record] = []
    expected: set[int] = set()
    start = 0
    for number, (has_candidate, size) in enumerate(batches):
        part = (start, start + size)
        records.append(planned(number, 1, part) if has_candidate else champions(number, part))
        records.append(outcome(number, (number, *part)))
        expected |= set(range(*part)) if has_candidate else set()
        start += size
    answered = ranges(*records)
    assert [offset for _, low, high, _ in answered for offset in range(low, high)] == sorted(expected)
