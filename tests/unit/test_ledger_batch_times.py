"""How long both versions of a rollout took, by what the ledger's outcomes say: whose batches count, and old records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streaming.ledger.batch_times import LatestTimes
from streaming.rollout.history import Rollout
from streaming.rollout.latency import StepTimes
from streaming.scoring_time import ScoringTime
from tests.unit.test_engines_rollout import in_first_step
from tests.unit.test_ledger_answered import champions, outcome, planned

Record = dict[str, Any]


def timed(plan: int, *partitions: tuple[float, float], events: int = 20) -> Record:
    """An outcome with the champion's and the candidate's seconds on each partition."""
    record = outcome(plan, (plan, 0, 9))
    for partition, seconds in enumerate(partitions):
        both = zip(("champion", "candidate"), seconds, strict=True)
        times = {role: {"events": events, "seconds": each} for role, each in both}
        record["partitions"].setdefault(str(partition), {"segments": []})["times"] = times
    return record


def current() -> Rollout:
    rollout = in_first_step().follower._history.current
    assert rollout is not None
    assert rollout.declaration.name == "flights-2"
    return rollout


def steps(*records: Record) -> tuple[StepTimes, ...]:
    times, rollout = LatestTimes(), current()
    for record in records:
        times.add(record, rollout)
    return times.steps()


def step(batches: int, slower: int, events: int, seconds: tuple[float, float]) -> StepTimes:
    return StepTimes(batches, slower, *(ScoringTime(events, each) for each in seconds))


SLOW, EVEN = timed(1, (0.25, 1.0)), timed(1, (0.25, 0.25))


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([planned(1, 1, (0, 9)), SLOW], (step(1, 1, 20, (0.25, 1.0)),), id="a slow batch"),
        pytest.param([planned(1, 1, (0, 9)), EVEN], (step(1, 0, 20, (0.25, 0.25)),), id="an even one"),
        pytest.param(
            [planned(1, 1, (0, 9)), timed(1, (0.25, 1.0), (1.0, 0.25))],
            (step(1, 0, 40, (1.25, 1.25)),),
            id="a batch's partitions count together",
        ),
        pytest.param(
            [planned(1, 2, (0, 9)), SLOW, planned(2, 1, (0, 9)), timed(2, (0.25, 0.25))],
            (step(1, 0, 20, (0.25, 0.25)), step(1, 1, 20, (0.25, 1.0))),
            id="steps in their order",
        ),
        pytest.param([planned(1, 1, (0, 9)), SLOW, SLOW], (step(1, 1, 20, (0.25, 1.0)),), id="written twice"),
        pytest.param([planned(1, 1, (0, 9)), timed(1, (0.25, 1.0), events=9)], (), id="too few events"),
        pytest.param([planned(1, 1, (0, 9)), outcome(1, (1, 0, 9))], (), id="an earlier release's, or Spark's"),
        pytest.param([champions(1, (0, 9)), SLOW], (), id="of no rollout"),
        pytest.param([{**planned(1, 1, (0, 9)), "rollout": "flights-1"}, SLOW], (), id="of another rollout"),
    ],
)
def test_each_batch_with_times_of_both_versions_counts_once_in_its_step(
    records: list[Record], expected: tuple[StepTimes, ...]
) -> None:
    assert steps(*records) == expected


def test_without_a_rollout_nothing_counts_and_the_next_rollout_begins_with_nothing() -> None:
    times, rollout = LatestTimes(), current()
    for record in (planned(1, 1, (0, 9)), SLOW):
        times.add(record, None)
    assert times.steps() == ()
    for record in (planned(1, 1, (0, 9)), SLOW):
        times.add(record, rollout)
    assert len(times.steps()) == 1
    times.add(champions(2, (9, 12)), in_first_step_of("flights-3"))
    assert times.steps() == ()


def in_first_step_of(name: str) -> Rollout:
    rollout = current()
    return replace(rollout, declaration=replace(rollout.declaration, name=name))
