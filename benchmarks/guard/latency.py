"""Times of two equal versions, measured here by the pass that scores two arms, whose batches are drawn anew.

They are drawn in spells of batches that followed each other, because what disturbs a machine lasts for a while. A
version that is slower is one of them with all its times multiplied.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.checks import ALPHA, RolloutCheck
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.rollout.latency import TOLERATED, StepTimes, judge_latency
from streaming.scoring.arm_pass import ArmPass
from streaming.scoring_time import ScoringTime
from streaming.statistics.arrays import Floats
from tests.support.many import ManyBench, many_event, records_of_values

OWN_ALPHA = ALPHA[RolloutCheck.LATENCY]
SPELL = 20
_ROWS = 1_000
_EVENTS_OF_A_BATCH = 20
"""What the ratios, of which alone the verdict is made, are taken to be of; any number that is enough does."""


@dataclass(frozen=True)
class LatencyDraw:
    """How many batches a rollout has before its candidate is slow, and at most since then."""

    before: int
    since: int


def measured_ratios(share: float, batches: int) -> Floats:
    """Return the ratio of the candidate's time to the champion's in each of so many batches of equal versions."""
    with tempfile.TemporaryDirectory() as folder:
        bench = ManyBench(Path(folder))
        for name in (CHAMPION, CANDIDATE):
            bench.add(name, 1_000.0)
    assignment = ArmAssignment("latency", ALL_CHAMPION.changed_to({CANDIDATE: share}))
    arms = ArmPass(
        tuple(bench.passes[name] for name in (CHAMPION, CANDIDATE)),
        partial(assignment.numbers_of, (CHAMPION, CANDIDATE)),
    )
    records = records_of_values([many_event(number) for number in range(_ROWS)])
    records = records.set_column(0, "key", pa.array([b"%d" % number for number in range(_ROWS)], pa.binary()))
    return np.array([_ratio(arms, records) for _ in range(batches)])


def _ratio(arms: ArmPass, records: pa.RecordBatch) -> float:
    arms.score(records)
    times = arms.times()
    return times[1].seconds / times[0].seconds


def batches_to_harm(ratios: Floats, slowdown: float, draw: LatencyDraw, rng: np.random.Generator, runs: int) -> Floats:
    """Return after how many slow batches each run finds harm, looking after each; infinite if it does not.

    Args:
        ratios: of equal versions, batch after batch.
        slowdown: how many times as long the candidate takes since it is slow, which is with the next step.
        draw: how many batches.
        rng: draws the spells.
        runs: how many.
    """
    needed = []
    for _ in range(runs):
        before = _step(_drawn(ratios, draw.before, rng))
        since = np.cumsum(_drawn(ratios, draw.since, rng) * slowdown > TOLERATED)
        looks = (
            look
            for look, slower in enumerate(since.tolist(), 1)
            if _is_harm([*([before] if draw.before else []), StepTimes(look, slower)])
        )
        needed.append(float(next(looks, math.inf)))
    return np.array(needed)


def _drawn(ratios: Floats, count: int, rng: np.random.Generator) -> Floats:
    begins = rng.integers(0, len(ratios) - SPELL, math.ceil(count / SPELL))
    return ratios[(begins[:, None] + np.arange(SPELL)).ravel()[:count]]


def _step(ratios: Floats) -> StepTimes:
    step, champion = StepTimes(), ScoringTime(_EVENTS_OF_A_BATCH, 1.0)
    for ratio in ratios.tolist():
        step = step.with_batch(champion, ScoringTime(_EVENTS_OF_A_BATCH, ratio), TOLERATED)
    return step


def _is_harm(steps: list[StepTimes]) -> bool:
    return judge_latency(steps, TOLERATED, OWN_ALPHA).finding is HarmFinding.HARM
