"""What a repair of a rollout scores again, and how its corrections name what they replace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobs.verbs.rollout.display import repair_sentences
from schemas import dead_letter
from streaming.ledger.answered import AnsweredRange
from streaming.models.ref import ModelKey, ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.dead_letters import DeadLetter, Place
from streaming.outputs.weights import WeightEpoch
from streaming.replay.repair import Repair, answered_by, lettered_offsets, remains
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, CHAMPION
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration

CHAMPIONS = ModelVersion("m", 1, "run1")
HALF = ArmAssignment("flights-7", ALL_CHAMPION.changed_to({CANDIDATE: 0.5}))


def answered(start: int, end: int, partition: int = 0, topic_id: str = "now") -> AnsweredRange:
    return AnsweredRange(
        topic="features",
        topic_id=topic_id,
        partition=partition,
        offsets=OffsetRange(start, end),
        weights=WeightEpoch("m-2", 1),
        role=CANDIDATE,
        assignment=HALF,
    )


@pytest.mark.parametrize(
    ("each", "there", "removed"),
    [
        pytest.param(answered(5, 9), (answered(5, 9),), (), id="all of it"),
        pytest.param(answered(0, 9), (answered(3, 9),), (answered(0, 3),), id="its end alone"),
        pytest.param(answered(0, 3), (), (answered(0, 3),), id="nothing"),
        pytest.param(answered(5, 9, partition=1), (answered(5, 9, partition=1),), (), id="another partition"),
        pytest.param(answered(5, 9, topic_id="old"), (), (answered(5, 9, topic_id="old"),), id="an earlier topic"),
        pytest.param(answered(5, 9, partition=7), (), (answered(5, 9, partition=7),), id="no such partition"),
    ],
)
def test_what_the_input_topic_still_has_is_scored_again_and_the_rest_is_named(
    each: AnsweredRange, there: tuple[AnsweredRange, ...], removed: tuple[AnsweredRange, ...]
) -> None:
    assert remains([each], "now", {0: 3, 1: 0}) == (there, removed)


def test_a_repair_is_known_again_when_retention_has_taken_more_of_its_input() -> None:
    first, later = (Repair("m-2", CHAMPIONS, (answered(start, 9),)) for start in (0, 3))
    assert first.plan.identity == later.plan.identity
    assert first.plan.identity != Repair("m-3", CHAMPIONS, first.ranges).plan.identity


def test_each_range_is_scored_by_the_champion_in_the_role_of_its_answers_also_within_one_step() -> None:
    promoting = answered(0, 4)
    promoted = replace(answered(4, 6), role=CHAMPION, assignment=None)
    probation = replace(promoted, offsets=OffsetRange(6, 9), weights=WeightEpoch("m-2", 4))
    repair = Repair("m-2", CHAMPIONS, (promoting, promoted, probation))
    by = [segment.by for segment in repair.plan.segments[0]]
    assert [(str(arms), arms.champion.role, arms.weights) for arms in by] == [
        ("m v1", CANDIDATE, promoting.weights),
        ("m v1", CHAMPION, promoting.weights),
        ("m v1", CHAMPION, probation.weights),
    ]


@pytest.mark.parametrize(
    ("key", "event_id", "of_candidate"),
    [
        pytest.param(b"a", None, True, id="a key of the candidate's"),
        pytest.param(b"b", "any", False, id="a key of the champion's"),
        pytest.param(None, "a", True, id="no key, and an id of the candidate's"),
        pytest.param(None, None, False, id="neither key nor id"),
    ],
)
def test_only_events_of_the_candidates_arm_are_meant(
    key: bytes | None, event_id: str | None, of_candidate: bool
) -> None:
    each = answered(0, 9)
    assert answered_by(each, key, event_id) is of_candidate
    assert answered_by(replace(each, role=CHAMPION), key, event_id) is not of_candidate
    assert answered_by(replace(each, assignment=None), key, event_id)


def letter(offset: int | str, **changes: str) -> DeadLetter:
    """A dead letter that the rollout's candidate made of an event, with other headers where ``changes`` say so."""
    added = {
        "topic": "features",
        "partition": "0",
        "offset": str(offset),
        "connector": "app",
        "rollout": "m-2",
        "model": "m",
        "version": "2",
        **changes,
    }
    names = {
        "topic": dead_letter.ERROR_TOPIC,
        "partition": dead_letter.ERROR_PARTITION,
        "offset": dead_letter.ERROR_OFFSET,
        "connector": dead_letter.ERROR_CONNECTOR,
        "rollout": dead_letter.ROLLOUT,
        "model": dead_letter.MODEL_NAME,
        "version": dead_letter.MODEL_VERSION,
    }
    headers = tuple((names[name], word.encode()) for name, word in added.items())
    return DeadLetter(Place(0, 0), 0, None, b"", headers)


DECLARED = Declaration(
    name="m-2",
    application="app",
    candidate=ModelKey("m", 2),
    salt="m-2",
    plan=RolloutPlan((RolloutStep(0.5, {"candidate events": 1}),), probation=RolloutStep(1, {"labelled days": 1})),
    at="2026-06-01T00:00:00.000Z",
)


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        pytest.param(letter(5), {0: frozenset({5})}, id="the candidate's"),
        pytest.param(letter(5, version="1"), {}, id="the champion's"),
        pytest.param(letter(5, connector="app.repair.m-2"), {}, id="a repair's"),
        pytest.param(letter(5, rollout="m-2.2"), {}, id="of another rollout"),
        pytest.param(letter(5, topic="others"), {}, id="of another topic"),
        pytest.param(letter(5, partition="1"), {}, id="of another partition"),
        pytest.param(letter(9), {}, id="outside of what was answered"),
        pytest.param(letter("x"), {}, id="its offset is no number"),
        pytest.param(DeadLetter(Place(0, 0), 0, None, b"", ()), {}, id="something else"),
    ],
)
def test_the_events_that_are_dead_letters_already_are_those_of_the_candidates_own(
    each: DeadLetter, expected: dict[int, frozenset[int]]
) -> None:
    assert lettered_offsets([each], DECLARED, [answered(0, 9)]) == expected


RESULT: dict[str, Any] = {
    "rollout": "m-2",
    "champion": "m v1",
    "topic": "features",
    "dry_run": False,
    "events": 3,
    "ranges": [{"partition": 0, "start": 5, "end": 9, "role": "candidate", "weight_epoch": 1, "events": 3}],
    "removed": [],
    "predictions": 3,
    "dead_letters": 0,
    "still_dead": 0,
    "offsets": 4,
    "seconds": 1.5,
}
REMOVED = [{"partition": 1, "start": 0, "end": 2, "role": "candidate", "weight_epoch": 1}]
ANSWERED = "3 events of features that m-2's candidate answered"
RANGE = "  partition 0, offsets 5 to 8: 3 events, weight epoch 1"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {},
            [
                f"{ANSWERED} were scored again by m v1 in 1.5 s: 3 predictions and 0 dead letters.",
                RANGE,
            ],
            id="done",
        ),
        pytest.param(
            {"predictions": 1, "still_dead": 2},
            [
                f"{ANSWERED} were scored again by m v1 in 1.5 s: 1 predictions and 0 dead letters.",
                "No second dead letter was written for 2 events on which m v1 fails, too.",
                RANGE,
            ],
            id="both versions fail on some",
        ),
        pytest.param(
            {"dry_run": True, "offsets": 0},
            [f"{ANSWERED} would be scored again by m v1.", RANGE],
            id="a dry run",
        ),
        pytest.param(
            {"offsets": 0, "predictions": 0},
            [f"{ANSWERED} were corrected by an earlier run; nothing was written.", RANGE],
            id="done before",
        ),
        pytest.param(
            {"dry_run": True, "removed": REMOVED},
            [
                f"{ANSWERED} would be scored again by m v1.",
                RANGE,
                "features no longer has these offsets, so their answers stay as they are:",
                "  partition 1, offsets 0 to 1: weight epoch 1",
            ],
            id="retention has taken some",
        ),
    ],
)  # fmt: skip
def test_a_repair_says_what_it_has_done_and_what_is_gone(changes: dict[str, Any], expected: list[str]) -> None:
    assert list(repair_sentences({**RESULT, **changes})) == expected
