"""The difference of two versions' losses over the days, with the bounds that hold at every day at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streaming.clock import isoformat, moment
from streaming.rollout.days import DaySums
from streaming.rollout.judge import HarmFinding, HarmRules, judge
from streaming.rollout.size import days_to_find
from streaming.statistics.arrays import Floats, Ints

POWER = 0.8
"""The chance with which harm is to be found in the days that are said to be needed."""


@dataclass(frozen=True)
class DayDifference:
    """One day, and what all days up to it say.

    Attributes:
        day: its date in UTC.
        events: labelled events of the candidate on it; where both versions scored them, of both.
        own: the difference of the day alone, candidate minus champion.
        mean: that of the mean day so far.
        low: what the mean day's difference is at least; ``None`` before there are enough days.
        high: what it is at most.
        finding: what the judge would have said then.
    """

    day: str
    events: int
    own: float
    mean: float
    low: float | None
    high: float | None
    finding: HarmFinding


@dataclass(frozen=True)
class ArmsComparison:
    """Two versions compared in one of both ways: on the same events, or on events of their own.

    Attributes:
        paired: whether both versions scored the same events.
        days: those whose labels are all due, in order.
        sentence: what they say, as the judge says it.
        deviation: the standard deviation of a day's difference; ``None`` with fewer than two days.
        needed: after how many days harm as large as the margin is found; ``None`` where that cannot be told.
    """

    paired: bool
    days: tuple[DayDifference, ...]
    sentence: str
    deviation: float | None
    needed: int | None

    @property
    def events(self) -> int:
        """Labelled events of the candidate in these days."""
        return sum(day.events for day in self.days)

    @property
    def missing(self) -> int | None:
        """How many more days are needed."""
        return None if self.needed is None else max(self.needed - len(self.days), 0)


def compared(days: DaySums, rules: HarmRules, margin: float, *, paired: bool) -> ArmsComparison:
    """Return what the days say, one by one.

    Args:
        days: those that are over with all labels due.
        rules: the judge's.
        margin: the difference that is to be found.
        paired: whether both versions scored the same events.
    """
    deviation = float(np.std(days.means, ddof=1)) if len(days.day) > 1 else None
    # The judge never takes days to differ less than the backtest measured.
    spread = max(deviation, rules.deviation) if deviation is not None else rules.deviation or None
    is_known = spread is not None and spread > 0 and margin > 0
    return ArmsComparison(
        paired=paired,
        days=tuple(_days(days, rules)),
        sentence=judge(days, rules).sentence,
        deviation=deviation,
        needed=days_to_find(margin, spread, rules.alpha, POWER) if is_known and spread is not None else None,
    )


def unpaired_days(day: Ints, is_candidate: npt.NDArray[np.bool_], losses: Floats) -> DaySums:
    """Return each day's mean loss of the candidate's events minus that of the champion's.

    A day on which one of them has no labelled event says nothing. Arrays are as long as there are events; a loss that
    is NaN does not count.
    """
    is_labelled = np.isfinite(losses)
    days = np.unique(day[is_labelled])
    which = np.searchsorted(days, day[is_labelled])
    own, values = is_candidate[is_labelled], losses[is_labelled]
    sides = []
    for rows in (own, ~own):
        counts = np.bincount(which[rows], minlength=len(days))
        sides.append((counts, np.bincount(which[rows], values[rows], minlength=len(days))))
    (candidates, candidate_losses), (champions, champion_losses) = sides
    both = (candidates > 0) & (champions > 0)
    difference = candidate_losses[both] / candidates[both] - champion_losses[both] / champions[both]
    # A day's mean is what counts, whatever its number of events.
    return DaySums(days[both].astype(np.int64), candidates[both].astype(np.int64), difference * candidates[both])


def _days(days: DaySums, rules: HarmRules) -> Iterator[DayDifference]:
    for count in range(1, len(days.day) + 1):
        verdict = judge(DaySums(days.day[:count], days.events[:count], days.total[:count]), rules)
        yield DayDifference(
            day=isoformat(moment(int(days.day[count - 1]) * 86_400.0))[:10],
            events=int(days.events[count - 1]),
            own=float(days.means[count - 1]),
            mean=verdict.difference,
            low=verdict.low if math.isfinite(verdict.low) else None,
            high=verdict.high if math.isfinite(verdict.high) else None,
            finding=verdict.finding,
        )
