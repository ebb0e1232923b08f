"""Disjoint arms: errors of keys, bursts of them, changing shares, and which keys move when a share grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.error_guard import ErrorSums, FirstErrors, judge_errors
from streaming.rollout.intervals import ALL_CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.statistics.arrays import Floats

ALPHA = 0.01
_MOST_ERRORS = 400
BURST = 20


def is_harm(sums: ErrorSums, alpha: float = ALPHA) -> bool:
    """Return what the guard says."""
    return judge_errors(sums, alpha).finding is HarmFinding.HARM


@dataclass(frozen=True)
class ErrorRates:
    """The champion's error rate, how many times as often the candidate errs, and the candidate's share."""

    base: float
    ratio: float
    share: float


def canary_events(rates: ErrorRates, rng: np.random.Generator, runs: int) -> Floats:
    """Return how many events of the candidate each run needs until harm; infinite if 400 errors are not enough."""
    share, mine = rates.share, rates.base * rates.ratio * rates.share
    error = mine + rates.base * (1 - share)
    needed = []
    for _ in range(runs):
        sums, events = ErrorSums(), 0
        while not is_harm(sums) and sums.champion + sums.candidate < _MOST_ERRORS:
            is_candidate = bool(rng.random() < mine / error)
            # Between two errors lie events without one, each the candidate's with about its share.
            without = int(rng.geometric(error)) - 1
            events += int(rng.binomial(without, share * (1 - rates.base * rates.ratio) / (1 - error))) + is_candidate
            sums = sums.with_errors(champion=not is_candidate, candidate=is_candidate, share=share)
        needed.append(float(events) if is_harm(sums) else math.inf)
    return np.array(needed)


def failing_events(share: float) -> int:
    """Return how many events of a candidate that fails on every one are needed, if the champion never does."""
    sums = ErrorSums()
    while not is_harm(sums):
        sums = sums.with_errors(champion=0, candidate=1, share=share)
    return sums.candidate


def burst_alarms(rng: np.random.Generator, runs: int, keys: int = 60) -> tuple[int, int]:
    """Return how many runs of equal arms find harm: by a key's first error, and by every error of its burst.

    Each run has another salt, and so another assignment of the same keys by the rollout's own function.
    """
    by_key = by_event = 0
    for _ in range(runs):
        arms = ArmAssignment(f"run-{rng.integers(1 << 40)}", ALL_CHAMPION.changed_to({"candidate": 0.25}))
        first, every, errors = ErrorSums(), ErrorSums(), FirstErrors()
        is_first_harm = is_every_harm = False
        for key in (b"key-%d" % number for number in range(keys)):
            mine = arms.arm_of(key, "") == "candidate"
            for _error in range(BURST):
                if errors.is_first(key):
                    first = first.with_errors(champion=not mine, candidate=mine, share=0.25)
            every = every.with_errors(champion=BURST * (not mine), candidate=BURST * mine, share=0.25)
            is_first_harm, is_every_harm = is_first_harm or is_harm(first), is_every_harm or is_harm(every)
        by_key, by_event = by_key + is_first_harm, by_event + is_every_harm
    return by_key, by_event


def changing_alarms(rng: np.random.Generator, runs: int) -> int:
    """Return how many runs of equal arms find harm while the share goes from 5 to 25 to 50 %, each for 60 errors."""
    alarms = 0
    for _ in range(runs):
        sums, harm = ErrorSums(), False
        for share in (0.05, 0.25, 0.5):
            for mine in (rng.random(60) < share).tolist():
                sums = sums.with_errors(champion=not mine, candidate=mine, share=share)
                harm = harm or is_harm(sums)
        alarms += harm
    return alarms


def moved_keys(rng: np.random.Generator, keys: int = 100_000) -> tuple[float, int]:
    """Return the share of keys that move when the candidate goes from 5 to 25 %, and how many go back."""
    five = ALL_CHAMPION.changed_to({"candidate": 0.05})
    salt = f"moved-{rng.integers(1 << 40)}"
    before, after = ArmAssignment(salt, five), ArmAssignment(salt, five.changed_to({"candidate": 0.25}))
    names = [b"key-%d" % number for number in range(keys)]
    pairs = [(before.arm_of(name, ""), after.arm_of(name, "")) for name in names]
    return sum(old != new for old, new in pairs) / keys, sum(new == "champion" != old for old, new in pairs)
