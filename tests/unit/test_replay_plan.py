"""What a replay was decided to be: the same command goes on with it, another one is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streaming.errors import ConfigurationError
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.weights import WeightEpoch
from streaming.replay.chunks import Segment, Segments
from streaming.replay.plan import ReplayPlan, settled
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE

ASKED = {"source": "recording 12 of features", "versions": "as-served"}


def segments(end: int = 9) -> Segments:
    by = [PlannedArms.only(ModelVersion("m", version, f"run{version}")) for version in (1, 2)]
    return {0: [Segment(OffsetRange(2, 5), by[0]), Segment(OffsetRange(5, end), by[1])], 3: []}


def test_what_was_decided_once_stays(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    first = settled(path, ASKED, segments)
    again = settled(path, ASKED, lambda: segments(99))
    assert first == again == ReplayPlan(ASKED, segments())
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_another_command_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    settled(tmp_path / "plan.json", ASKED, segments)
    with pytest.raises(ConfigurationError, match=r"versions was 'as-served' and is 'v3'\. Choose another --name"):
        settled(tmp_path / "plan.json", {**ASKED, "versions": "v3"}, segments)


TWO_ARMS = PlannedArms(
    (PlannedArm(ModelVersion("m", 1, "run1")), PlannedArm(ModelVersion("m", 2, "run2"), CANDIDATE)),
    ArmAssignment("m-2", ALL_CHAMPION.changed_to({CANDIDATE: 0.25})),
    WeightEpoch("m-2", 2),
)


@pytest.mark.parametrize(
    "by",
    [
        pytest.param(TWO_ARMS, id="two arms of a rollout"),
        pytest.param(replace(TWO_ARMS, weights=None), id="two arms with fixed shares"),
        pytest.param(PlannedArms(TWO_ARMS.arms[:1], weights=WeightEpoch("m-2", 3)), id="one arm of a rollout"),
        pytest.param(PlannedArms.only(ModelVersion("m", 3, "run3"), "replay"), id="a chosen version"),
    ],
)
def test_whatever_scores_is_read_back_from_the_plan(tmp_path: Path, by: PlannedArms) -> None:
    decided = {0: [Segment(OffsetRange(2, 5), by)]}
    first = settled(tmp_path / "plan.json", ASKED, lambda: decided)
    assert settled(tmp_path / "plan.json", ASKED, dict) == first == ReplayPlan(ASKED, decided)


def test_a_decision_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Segments:
        raise ConfigurationError("no such version")

    with pytest.raises(ConfigurationError, match="no such version"):
        settled(tmp_path / "plan.json", ASKED, fail)
    assert list(tmp_path.iterdir()) == []


def test_the_identity_names_command_and_segments() -> None:
    one = ReplayPlan(ASKED, segments())
    others = [ReplayPlan({**ASKED, "sink": "Parquet"}, segments()), ReplayPlan(ASKED, segments(10))]
    assert one.identity == ReplayPlan(dict(ASKED), segments()).identity
    assert len({one.identity, *(other.identity for other in others)}) == 3
