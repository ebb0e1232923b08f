"""A plan's arms, as they are written and read: one arm as ever, several under a record version of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.verbs.ledger.display import describe
from streaming.clock import instant
from streaming.errors import DataError
from streaming.ledger.answer import Facts, about_moment, about_offset
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.ledger.lineage import Certainty, Fate, Lineage, Position
from streaming.ledger.plan import Plan
from streaming.ledger.serving_at import Moment
from streaming.lookup_state import LookupState
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.read_back import Output, Stored
from streaming.replay.chunks import Segment
from streaming.replay.served import ServingHistory, as_served
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, ArmIntervals

AT = "2026-11-21T11:00:00.000Z"
CHAMPION, CANDIDATE = (PlannedArm(ModelVersion("flights", n, f"run{n}"), r) for n, r in ((1, "champion"), (2, "new")))
QUARTER = ArmAssignment("flights-2", ALL_CHAMPION.changed_to({"new": 0.25}))
TWO = PlannedArms((CHAMPION, CANDIDATE), QUARTER)


def plan(arms: PlannedArms, reason: str = "") -> Plan:
    return Plan("3.1", "app", "features", "id", "checkpoint", 4, {0: OffsetRange(5, 9)}, arms, AT, reason)


@st.composite
def several_arms(draw: st.DrawFn) -> PlannedArms:
    roles = draw(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4, unique=True))
    roles = [role for role in roles if role != "champion"] or ["candidate"]
    intervals = ALL_CHAMPION
    for _ in range(draw(st.integers(1, 3))):
        intervals = intervals.changed_to({role: draw(st.floats(0, 1 / len(roles))) for role in roles})
    versions = [ModelVersion(draw(st.text(max_size=3)), draw(st.integers(1, 99)), "run") for _ in ("", *roles)]
    arms = tuple(PlannedArm(version, role) for version, role in zip(versions, ("champion", *roles), strict=True))
    salt = draw(st.text(min_size=1, max_size=5).filter(lambda text: "\0" not in text))
    return PlannedArms(arms, ArmAssignment(salt, intervals))


@given(several_arms())
def test_arms_are_read_back_as_they_were_planned(arms: PlannedArms) -> None:
    planned = plan(arms, "why")
    assert Plan.from_dict(json.loads(json.dumps(planned.to_dict()))) == planned


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(LookupState("id", (3, 0), 7), id="a table"),
        pytest.param(LookupState.unavailable("the topic is gone", 7), id="none"),
    ],
)
def test_a_plan_says_what_was_looked_up_in_and_another_state_is_another_plan(state: LookupState) -> None:
    planned = plan(replace(PlannedArms.only(CHAMPION.version), lookup=state))
    again = Plan.from_dict(json.loads(json.dumps(planned.to_dict())))
    assert again == planned
    assert again.arms.lookup == state
    assert again.arms != PlannedArms.only(CHAMPION.version)


ONE_ARM = (
    '{"type":"plan","plan":"3.1","application":"app","topic":"features","topic_id":"id","checkpoint":"checkpoint",'
    '"batch":4,"ranges":{"0":[5,9]},"model":"flights","version":1,"run_id":"run1","role":"champion","reason":"",'
    f'"at":"{AT}"}}'
)


def test_a_plan_of_one_arm_is_written_byte_for_byte_as_before_there_were_arms() -> None:
    only = plan(PlannedArms.only(CHAMPION.version))
    assert json.dumps(only.to_dict(), separators=(",", ":")) == ONE_ARM
    assert Plan.from_dict(json.loads(ONE_ARM)) == only


def test_a_plan_of_two_arms_names_versions_roles_points_and_salt() -> None:
    record = plan(TWO).to_dict()
    assert record["record_version"] == 2
    assert record["salt"] == "flights-2"
    assert record["arms"] == [
        {"model": "flights", "version": 1, "run_id": "run1", "role": "champion", "points": [[2**30, 2**32]]},
        {"model": "flights", "version": 2, "run_id": "run2", "role": "new", "points": [[0, 2**30]]},
    ]
    assert "version" not in record, "an earlier release must not take it for a plan of the champion alone"


@pytest.mark.parametrize(
    ("arms", "assignment", "message"),
    [
        pytest.param((), None, r"arms are \[\]", id="no arm"),
        pytest.param((CHAMPION, CANDIDATE), None, "only a plan of several arms has intervals", id="no assignment"),
        pytest.param((CHAMPION,), QUARTER, "of their roles alone", id="one arm with an assignment"),
        pytest.param((CHAMPION, CHAMPION), QUARTER, "each role has one arm", id="a role twice"),
        pytest.param((CANDIDATE, CHAMPION), QUARTER, "first arm is the champion", id="another first"),
        pytest.param(
            (CHAMPION, CANDIDATE),
            ArmAssignment("s", ArmIntervals(("other", "champion"), (5, 2**32))),
            r"intervals name \['champion', 'other'\]",
            id="points of no arm",
        ),
        pytest.param(
            (CHAMPION, *(PlannedArm(CANDIDATE.version, str(n)) for n in range(127))),
            QUARTER,
            "at most 127 in all",
            id="more than a byte can name",
        ),
    ],
)
def test_arms_that_leave_an_event_without_one_are_refused(
    arms: tuple[PlannedArm, ...], assignment: ArmAssignment | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        PlannedArms(arms, assignment)


def overlapping(record: dict[str, Any]) -> None:
    record["arms"][1]["points"] = [[0, 2**31]]


def with_a_gap(record: dict[str, Any]) -> None:
    record["arms"][1]["points"] = [[5, 2**30]]


def later(record: dict[str, Any]) -> None:
    record["record_version"] = 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(overlapping, "points in common, or miss some", id="points of two arms"),
        pytest.param(with_a_gap, "points in common, or miss some", id="points of none"),
        pytest.param(later, "a later release wrote", id="a later record version"),
    ],
)
def test_a_record_that_cannot_be_followed_is_an_error(change: Callable[[dict[str, Any]], None], message: str) -> None:
    record = plan(TWO).to_dict()
    change(record)
    with pytest.raises(DataError, match=message):
        Plan.from_dict(record)


def output(version: int, model: str = "flights") -> Output:
    return Output("prediction", Stored("out", 0, 6, (), b"{}"), ("features", 0, 7), "app", version, model)


@pytest.mark.parametrize(
    ("made", "fate", "summary", "version"),
    [
        pytest.param(output(1), "written", "was scored by flights v1.", 1, id="the champion's output"),
        pytest.param(output(2), "written", "was scored by flights v2.", 2, id="the candidate's output"),
        pytest.param(output(3), "contradiction", "says version 3.", None, id="of neither"),
        pytest.param(output(2, "hotels"), "contradiction", "says version 2.", None, id="of another model"),
        pytest.param(
            None, "written", "was scored by one of flights v1 (champion), flights v2 (new);", None, id="output is gone"
        ),
    ],
)
def test_of_several_arms_the_output_names_the_one_that_made_it(
    made: Output | None, fate: str, summary: str, version: int | None
) -> None:
    lineage = Lineage(Fate.WRITTEN, plan(TWO), Certainty.RECORDED)
    answer = about_offset(Facts(Position("features", "id", 0, 7), lineage, made, True, end=20, written_to=9))
    assert (answer["fate"], answer.get("version")) == (fate, version)
    assert summary in answer["summary"]
    assert [(arm["role"], arm["version"]) for arm in answer["arms"]] == [("champion", 1), ("new", 2)]


def test_at_a_moment_the_champion_served() -> None:
    moment = Moment(instant("2026-11-21T11:00:30Z"))
    moment.add(plan(TWO).to_dict())
    answer = about_moment(moment, "then")
    assert (answer["version"], answer["run_id"], len(answer["before"]["arms"])) == (1, "run1", 2)


def test_a_plan_of_two_arms_in_a_line() -> None:
    line = describe(plan(TWO).to_dict())
    assert line == "3.1: flights v1 (champion), flights v2 (new) score batch 4, 0: 5 to 8"


def test_a_replay_as_served_gives_each_event_to_its_arm_of_the_recorded_plan() -> None:
    outcome = {"type": "outcome", "plan": "3.1", "at": AT, "partitions": {"0": {"segments": [["3.1", 5, 9]]}}}
    books = ServingHistory(lambda: [plan(TWO).to_dict(), outcome], {}, complete=True)
    assert as_served(books, "features", "id", {0: OffsetRange(5, 9)}) == {0: [Segment(OffsetRange(5, 9), TWO)]}
