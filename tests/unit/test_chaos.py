"""The chaos suite's own judgement: each kind of wrong is found, nothing right is called wrong, no fault is rare."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from streaming.accounting.batch_arms import Answerer
from streaming.accounting.check import Findings, LedgerHistory, ReadBack, check
from streaming.accounting.records import ReadResult, Sent
from streaming.failpoints import NAMES
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.ref import ModelVersion
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, CHAMPION
from tests.chaos.schedule import HANDS, PLANNED, ROLLOUT, Ending, Kind, Return, Step, schedule, unmet
from tests.support.traffic import predicts

KEYS = ("a", "b")
SKIPPED = range(4, 6)


def plan(name: str, version: int, start: int, end: int) -> dict[str, Any]:
    ranges = {"0": [start, end]}
    return {"type": "plan", "plan": name, "version": version, "role": CHAMPION, "ranges": ranges}


def outcome(*segments: tuple[str, int, int]) -> dict[str, Any]:
    return {"type": "outcome", "partitions": {"0": {"segments": [list(segment) for segment in segments]}}}


LEDGER = (
    plan("1.1", 1, 0, 4),
    outcome(("1.1", 0, 4)),
    {"type": "skip", "gaps": {"0": [SKIPPED.start, SKIPPED.stop]}},
    plan("2.1", 2, 6, 10),
    outcome(("2.1", 6, 10)),
)
"""Version 1 scored 0 to 3, retention took 4 and 5, version 2 scored 6 to 9; it says the opposite of version 1."""


def event(offset: int) -> Sent:
    """Two keys take turns; the last event of all is broken."""
    return Sent(KEYS[offset % 2], offset // 2, None if offset == 9 else offset % 3 == 0)


def answer(offset: int, at: int) -> ReadResult:
    return answered(offset, at, Answerer(1 if offset < 6 else 2, CHAMPION))


def answered(offset: int, at: int, by: Answerer) -> ReadResult:
    """Return what the answerer says of an event, as it says it."""
    sent = event(offset)
    if sent.late is None:
        return ReadResult((0, offset), (0, at), sent.key, by.by_version, None)
    own = {"model_version": by.version, "role": by.role, "prediction": predicts(sent, by.version)}
    return ReadResult((0, offset), (0, at), sent.key, by, {"event_id": sent.id, **own})


def evidence() -> ReadBack:
    answers = [answer(offset, at) for at, offset in enumerate(o for o in range(10) if o not in SKIPPED)]
    sent = {(0, offset): event(offset) for offset in range(10)}
    return ReadBack(sent, answers[:-1], answers[-1:], predicts, LedgerHistory(LEDGER), {0: [range(SKIPPED.stop)]})


def found(findings: Findings) -> dict[str, int]:
    return dict(findings.counts)


def predicting(*predictions: ReadResult) -> ReadBack:
    return replace(evidence(), predictions=list(predictions))


RIGHT = list(evidence().predictions)


def changed(number: int, **changes: Any) -> list[ReadResult]:
    """Return the predictions with one of them changed; ``value`` is laid over its value."""
    old = RIGHT[number]
    new = replace(old, **{**changes, "value": {**(old.value or {}), **changes.get("value", {})}})
    return [*RIGHT[:number], new, *RIGHT[number + 1 :]]


def test_nothing_is_said_against_a_run_that_is_right() -> None:
    assert found(check(evidence())) == {}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        pytest.param(predicting(*RIGHT[:2], *RIGHT[3:]), {"lost": 1}, id="an event without an answer"),
        pytest.param(replace(evidence(), dead_letters=[]), {"lost": 1}, id="a broken event without a dead letter"),
        pytest.param(predicting(*RIGHT, replace(RIGHT[2], at=(0, 99))), {"duplicated": 1, "order_violations": 1},
                     id="an event that came out twice, the second time late"),
        pytest.param(replace(evidence(), dead_letters=[*evidence().dead_letters,
                                                       replace(RIGHT[0], by=Answerer(1), value=None)]),
                     {"duplicated": 1, "unexpected": 1}, id="a prediction that is a dead letter too"),
        pytest.param(predicting(*changed(1, by=Answerer(2, CHAMPION))), {"mixed_versions": 2},
                     id="a version that the ledger denies"),
        pytest.param(predicting(*changed(1, by=Answerer(1, CANDIDATE), value={"role": CANDIDATE})),
                     {"mixed_versions": 1}, id="a role that the ledger denies"),
        pytest.param(predicting(*changed(1, value={"role": CANDIDATE})), {"mixed_versions": 1},
                     id="header and value of different roles"),
        pytest.param(predicting(*changed(1, value={"model_version": 2})), {"mixed_versions": 1},
                     id="header and value of different versions"),
        pytest.param(predicting(*changed(1, value={"prediction": 1.0})), {"mixed_versions": 1},
                     id="another version's answer"),
        pytest.param(predicting(replace(RIGHT[0], at=(0, 2)), RIGHT[1], replace(RIGHT[2], at=(0, 0)), *RIGHT[3:]),
                     {"order_violations": 1}, id="a key's events in the wrong order"),
        pytest.param(predicting(replace(RIGHT[0], at=(1, 0)), *RIGHT[1:]), {"order_violations": 1},
                     id="a key in two partitions"),
        pytest.param(replace(evidence(), removed={}), {"lost": 2, "unexpected": 2}, id="a skip of what was there"),
        pytest.param(replace(evidence(), ledger=LedgerHistory(LEDGER[:2] + LEDGER[3:])), {"lost": 2},
                     id="a hidden skip"),
        pytest.param(predicting(*RIGHT, replace(RIGHT[0], place=(0, 77))), {"unexpected": 1}, id="out of nothing"),
        pytest.param(predicting(*changed(1, value={"event_id": "b-9"})), {"unexpected": 1}, id="another event"),
        pytest.param(predicting(*changed(1, key="a")), {"unexpected": 1}, id="another key"),
    ],
)  # fmt: skip
def test_each_kind_of_wrong_is_found(wrong: ReadBack, expected: dict[str, int]) -> None:
    assert found(check(wrong)) == expected


def test_where_an_outcome_died_with_its_driver_the_plan_speaks_for_it() -> None:
    findings = check(replace(evidence(), ledger=LedgerHistory([r for r in LEDGER if r["type"] != "outcome"])))
    assert found(findings) == {}
    assert findings.unrecorded == 8


def test_an_outcome_of_several_plans_is_held_against_each_ones_part() -> None:
    parts = outcome(("1.1", 0, 2), ("1.2", 2, 4))
    again = [LEDGER[0], plan("1.2", 3, 0, 4), parts, *LEDGER[2:]]
    assert found(check(replace(evidence(), ledger=LedgerHistory(again)))) == {"mixed_versions": 2}


ASSIGNMENT = ArmAssignment("m-7", ALL_CHAMPION.changed_to({CANDIDATE: 0.5}))
ARM = {key: ASSIGNMENT.arm_of(key.encode(), "") for key in KEYS}
BY_ARM = {CHAMPION: Answerer(1, CHAMPION, "m-2", 3), CANDIDATE: Answerer(2, CANDIDATE, "m-2", 3)}
TWO_ARMS = PlannedArms(
    (PlannedArm(ModelVersion("m", 1, "r1")), PlannedArm(ModelVersion("m", 2, "r2"), CANDIDATE)),
    ASSIGNMENT,
    WeightEpoch("m-2", 3),
)


def in_two_arms(answerers: dict[str, Answerer]) -> ReadBack:
    """Every event answered by this one for its arm; the broken one, the last, is of key b."""
    answers = [answered(offset, offset, answerers[ARM[event(offset).key]]) for offset in range(10)]
    ledger = [{"type": "plan", "plan": "3.1", "ranges": {"0": [0, 10]}, **TWO_ARMS.to_dict()}, outcome(("3.1", 0, 10))]
    history = LedgerHistory(ledger)
    return replace(evidence(), predictions=answers[:-1], dead_letters=answers[-1:], ledger=history, removed={})


def test_a_plan_of_two_arms_gives_each_event_to_the_arm_of_its_key() -> None:
    assert set(ARM.values()) == {CHAMPION, CANDIDATE}
    assert found(check(in_two_arms(BY_ARM))) == {}


CANDIDATES = Answerer(2, CANDIDATE, "m-2", 3)


@pytest.mark.parametrize(
    ("instead", "mixed"),
    [
        pytest.param(Answerer(1, CHAMPION, "m-2", 3), 5, id="the other arm, also for the dead letter"),
        pytest.param(replace(CANDIDATES, weight_epoch=4), 4, id="another epoch"),
        pytest.param(replace(CANDIDATES, rollout="m-3"), 4, id="another rollout"),
        pytest.param(replace(CANDIDATES, role=CHAMPION), 4, id="another role"),
        pytest.param(Answerer(2, CANDIDATE), 4, id="no rollout at all"),
    ],
)
def test_an_answer_of_another_arm_or_step_than_the_plan_says_is_mixed(instead: Answerer, mixed: int) -> None:
    assert ARM["b"] == CANDIDATE
    assert found(check(in_two_arms({**BY_ARM, CANDIDATE: instead}))) == {"mixed_versions": mixed}


SCHEDULES = [schedule(seed) for seed in range(1, HANDS + 1)]


def test_twenty_seeds_hold_every_fault_and_every_failpoint_often_enough() -> None:
    kinds = sum((each.kinds() for each in SCHEDULES), Counter[Kind]())
    hits = Counter(step.point for each in SCHEDULES for step in each.steps if step.point)
    assert list(unmet(kinds, hits)) == []
    assert set(hits) == set(NAMES)


def test_a_run_that_missed_something_is_told_what() -> None:
    assert len(list(unmet(Counter(), Counter()))) == len(Kind) + len(NAMES)


def test_a_seed_is_the_same_each_time_and_no_other_is_like_it() -> None:
    assert [schedule(each.seed) for each in SCHEDULES] == SCHEDULES
    assert len({each.steps for each in SCHEDULES}) == HANDS
    assert schedule(1 + HANDS).kinds() == schedule(1).kinds()


@pytest.mark.parametrize("seed", range(1, 2 * HANDS + 1))
def test_a_driver_dies_once_in_every_seed_and_only_a_replaced_one_wakes_up(seed: int) -> None:
    deaths = [step for step in schedule(seed).steps if step.back]
    assert len(deaths) == 1
    assert deaths[0].kind is not Kind.FREEZE_DRIVER or deaths[0].back is Return.STANDBY
    assert 3 <= len([step for step in schedule(seed).steps if step.kind not in PLANNED]) <= 5
    assert Step(Kind.SWAP) in schedule(seed).steps


def test_a_rollout_adds_its_steps_in_order_and_changes_nothing_else_of_a_seed() -> None:
    for seed in range(1, HANDS + 1):
        alone, beside = schedule(seed, with_rollout=False), schedule(seed, with_rollout=True)
        added = [step.kind for step in beside.steps if step.kind in ROLLOUT]
        assert added == [Kind.ROLLOUT_BEGINS, Kind.ROLLOUT_WIDENS, Kind.ROLLOUT_ENDS]
        assert tuple(step for step in beside.steps if step.kind not in ROLLOUT) == alone.steps
        assert (beside.skewed, beside.small) == (alone.skewed, alone.small)


def test_twenty_seeds_end_rollouts_in_every_way() -> None:
    assert {step.ending for each in SCHEDULES for step in each.steps} >= set(Ending)
