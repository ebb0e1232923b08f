"""Reading what Spark reports of a real-time query's batches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streaming.delivery.outcome import ArmOutcome
from streaming.engines.real_time import read_progress
from streaming.offsets import OffsetRange

ONE_ARM = {"champion.predictions": 3, "champion.WRONG_TYPE": 1, "champion.OVERSIZE": 0}
TWO_ARMS = {
    **ONE_ARM,
    "champion.newest": "2013-07-01T00:00:00.000Z",
    "candidate.predictions": 2,
    "candidate.OVERSIZE": 1,
    "candidate.newest": None,
}


def progress(counted: dict[str, Any] = ONE_ARM, **changes: Any) -> dict[str, Any]:
    """A report as Spark prints it, of the parts that are read."""
    source = {
        "startOffset": {"features": {"0": 5, "1": 7}},
        "endOffset": {"features": {"0": 9, "1": 7}},
        "latestOffset": {"features": {"0": 10, "1": 7}},
        **changes,
    }
    return {
        "batchId": 3,
        "numInputRows": 4,
        "durationMs": {"triggerExecution": 5_000, "walCommit": 20},
        "observedMetrics": {"penstock": counted},
        "sources": [source],
    }


def test_a_boundary_has_its_ranges_counts_and_lag() -> None:
    boundary = read_progress(progress(), "features", {})
    assert (boundary.batch, boundary.rows, boundary.seconds) == (3, 4, 5.0)
    assert boundary.ranges == {0: OffsetRange(5, 9), 1: OffsetRange(7, 7)}
    assert (boundary.outcome.predictions, boundary.outcome.dead_letters) == (3, {"WRONG_TYPE": 1})
    assert boundary.phases == {"walCommit": 0.02}
    assert boundary.lag == {0: 1, 1: 0}


def test_a_boundary_counts_each_arm() -> None:
    outcome = read_progress(progress(TWO_ARMS), "features", {}).outcome
    assert (outcome.predictions, outcome.dead_letters) == (5, {"WRONG_TYPE": 1, "OVERSIZE": 1})
    assert outcome.arms == {
        "champion": ArmOutcome(3, {"WRONG_TYPE": 1}, "2013-07-01T00:00:00.000Z"),
        "candidate": ArmOutcome(2, {"OVERSIZE": 1}),
    }


@pytest.mark.parametrize(
    ("changes", "ranges"),
    [
        ({"startOffset": None}, {0: OffsetRange(2, 9), 1: OffsetRange(6, 7)}),
        ({"endOffset": {"features": {"0": 9, "1": 7, "2": 4}}}, {0: OffsetRange(5, 9), 2: OffsetRange(0, 4)}),
        ({"startOffset": json.dumps({"features": {"0": 5, "1": 7}})}, {0: OffsetRange(5, 9)}),
    ],
    ids=["of a first batch", "of an added partition", "printed as text"],
)
def test_a_range_begins(changes: dict[str, Any], ranges: dict[int, OffsetRange]) -> None:
    boundary = read_progress(progress(**changes), "features", {0: 2, 1: 6})
    assert {p: part for p, part in boundary.ranges.items() if part.end > part.start} == ranges


def test_a_batch_without_counts_and_latest_offsets_has_none() -> None:
    reported = progress(latestOffset=None)
    del reported["observedMetrics"]
    boundary = read_progress(reported, "features", {})
    assert (boundary.outcome.rows, boundary.lag) == (0, {})
