"""Scores on real flights, whole days drawn anew: how often unchanged ones are called shifted, how soon broken ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.guard.flights import CHAMPION, FlightScores
from streaming.rollout.checks import ALPHA, RolloutCheck
from streaming.rollout.judge import HarmFinding
from streaming.rollout.score_shift import FEWEST_EVENTS, HourShifts, ShiftRules, judge_shift
from streaming.statistics.arrays import Floats, Ints

RULES = ShiftRules(ALPHA[RolloutCheck.SCORE_SHIFT])


@dataclass(frozen=True)
class ShiftedDay:
    """Each flight of a day: its hour of the day, and how far the candidate's score is from the champion's."""

    hour: Ints
    shift: Floats


@dataclass(frozen=True)
class ShiftDays:
    """A candidate's days of June and July, and those of August and September."""

    before: list[ShiftedDay]
    since: list[ShiftedDay]


@dataclass(frozen=True)
class ShiftDraw:
    """For how many days the candidate has no share, for how many at most it serves after that, and with which share."""

    shadow: int
    serving: int
    share: float


NULL, FOUND = ShiftDraw(shadow=7, serving=30, share=0.25), ShiftDraw(shadow=7, serving=10, share=0.25)


def shift_days(scores: FlightScores, name: str) -> ShiftDays:
    """Return a candidate's days in two halves."""
    days = scores.day
    shift = scores.probability[name] - scores.probability[CHAMPION]
    numbers = np.unique(days)
    each = [ShiftedDay(scores.hour[days == day] % 24, shift[days == day]) for day in numbers]
    return ShiftDays(each[: len(each) // 2], each[len(each) // 2 :])


def hours_to_shift(
    before: list[ShiftedDay], since: list[ShiftedDay], draw: ShiftDraw, rng: np.random.Generator, runs: int
) -> Floats:
    """Return after how many hours with events each run finds a shift, looking after each; infinite if it does not.

    Args:
        before: the days of which those without a share are drawn.
        since: the days of which those that the candidate serves are drawn.
        draw: how many of each.
        rng: draws them, and which events the candidate answers.
        runs: how many.
    """
    needed = []
    for _ in range(runs):
        shown = _drawn(before, draw.shadow, 1.0, rng)
        served = _drawn(since, draw.serving, draw.share, rng)
        looks = range(1, len(served) + 1)
        harmful = (look for look in looks if _is_harm(shown, served, look))
        needed.append(float(next(harmful, math.inf)))
    return np.array(needed)


def _drawn(days: list[ShiftedDay], count: int, share: float, rng: np.random.Generator) -> HourShifts:
    parts = [_hours(days[number], share, rng) for number in rng.integers(0, len(days), count)]
    return HourShifts(*(np.concatenate([getattr(part, name) for part in parts]) for name in HourShifts.__annotations__))


def _hours(day: ShiftedDay, share: float, rng: np.random.Generator) -> HourShifts:
    chosen = rng.random(len(day.hour)) < share
    hour, shift = day.hour[chosen], day.shift[chosen]
    events = np.bincount(hour, minlength=24)
    enough = events >= FEWEST_EVENTS
    counts = events[enough]
    mean, square = (np.bincount(hour, weights, 24)[enough] / counts for weights in (shift, shift**2))
    return HourShifts(counts, mean, np.maximum(square - mean**2, 0.0))


def _is_harm(shown: HourShifts, served: HourShifts, look: int) -> bool:
    seen = HourShifts(served.events[:look], served.mean[:look], served.variance[:look])
    return judge_shift(shown, seen, RULES).finding is HarmFinding.HARM
