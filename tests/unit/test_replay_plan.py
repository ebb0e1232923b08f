"""What a replay was decided to be: the same command goes on with it, another one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from streaming.errors import ConfigurationError
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.replay.chunks import Assignment, Segment, Segments
from streaming.replay.plan import ReplayPlan, settled

ASKED = {"source": "recording 12 of features", "versions": "as-served"}


def segments(end: int = 9) -> Segments:
    by = [Assignment(ModelVersion("m", version, f"run{version}"), "champion") for version in (1, 2)]
    return {0: [Segment(OffsetRange(2, 5), by[0]), Segment(OffsetRange(5, end), by[1])], 3: []}


def test_what_was_decided_once_stays(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    first = settled(path, ASKED, segments)
    again = settled(path, ASKED, lambda: segments(99))
    assert first == again == ReplayPlan(ASKED, segments())
    assert [found.name for found in tmp_path.iterdir()] == ["plan.json"]


def test_another_command_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    settled(tmp_path / "plan.json", ASKED, segments)
    with pytest.raises(ConfigurationError, match=r"versions was 'as-served' and is 'v3'\. Choose another --name"):
        settled(tmp_path / "plan.json", {**ASKED, "versions": "v3"}, segments)


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
