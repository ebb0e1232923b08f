"""The shift of the candidate's scores against the champion's, added up by hour of event time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.shadow_prediction import ShadowRole
from streaming.judging.pairs import CANDIDATE_SIDE, CHAMPION_SIDE
from streaming.rollout.plan import RolloutPlan
from streaming.rollout.score_shift import FEWEST_EVENTS, HOUR, HourShifts
from streaming.statistics.arrays import Floats, Ints

_HOUR_MILLISECONDS = int(HOUR.total_seconds() * 1_000)
_SIDES = (CHAMPION_SIDE, CANDIDATE_SIDE)


@dataclass(frozen=True)
class ShiftsByHour:
    """The hours of the steps without a share, and those since the candidate answers, by the events that it answered."""

    before: HourShifts
    since: HourShifts


@dataclass
class _ShiftedHour:
    events: int = 0
    total: float = 0.0
    squares: float = 0.0


class ShiftBook:
    """Takes pairs in any order; its memory is three numbers an hour."""

    def __init__(self, plan: RolloutPlan) -> None:
        """Begin with nothing; the plan says which steps have no share."""
        shares = [step.share for step in plan.steps]
        # The first step has weight epoch 1, and each step that follows the next one.
        self._shadow_epochs = next((n for n, share in enumerate(shares) if share > 0), len(shares))
        self._before: dict[int, _ShiftedHour] = defaultdict(_ShiftedHour)
        self._since: dict[int, _ShiftedHour] = defaultdict(_ShiftedHour)

    def add(self, pairs: pa.Table) -> None:
        """Take pairs of :data:`streaming.judging.pairs.PAIRS`."""
        shifts = score_shifts(pairs)
        times = np.asarray(pairs["event_time"].cast(pa.int64()).to_numpy(), np.int64)
        epochs = np.asarray(pairs["epoch"].to_numpy(), np.int64)
        # What the candidate has answered shows how it serves. What it says in the shadow of a canary does not.
        is_answered = pairs["role"].to_numpy() == ShadowRole.REVERSE_SHADOW.value
        is_before = ~is_answered & (epochs <= self._shadow_epochs)
        usable, hours = np.isfinite(shifts), times // _HOUR_MILLISECONDS
        for sums, chosen in ((self._before, usable & is_before), (self._since, usable & is_answered)):
            _add(sums, hours[chosen], shifts[chosen])

    def shifts(self, passed: datetime | None) -> ShiftsByHour:
        """Return the hours that are over.

        Args:
            passed: up to here in event time no pair is to come; ``None`` if that is not known.
        """
        end = 0 if passed is None else int(passed.timestamp() * 1_000) // _HOUR_MILLISECONDS
        return ShiftsByHour(_over(self._before, end), _over(self._since, end))


def score_shifts(pairs: pa.Table) -> Floats:
    """Return the candidate's score less the champion's, for each event; NaN where one version alone has probabilities.

    A score is what a backtest calls so: the probability of the second of two classes, of more classes that of the
    predicted one, and without probabilities the prediction itself.
    """
    classes = [_lengths(pairs[f"{side}_probability"]) for side in _SIDES]
    both, neither = (
        np.logical_and(*(count > 0 for count in classes)),
        np.logical_and(*(count == 0 for count in classes)),
    )
    shifts = np.full(pairs.num_rows, np.nan)
    champion, candidate = (np.asarray(pairs[f"{side}_prediction"].to_numpy(), np.float64) for side in _SIDES)
    shifts[neither] = (candidate - champion)[neither]
    if both.any():
        scored = pairs.filter(pa.array(both))
        champion, candidate = (_scores(scored[f"{side}_probability"]) for side in _SIDES)
        shifts[both] = candidate - champion
    return shifts


def _lengths(probability: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.list_value_length(probability).fill_null(0).to_numpy(), np.int64)


def _scores(probability: pa.ChunkedArray) -> Floats:
    # Row by row, as versions may differ in their classes: the probabilities of all rows are one array.
    lengths, flat = _lengths(probability), np.asarray(pc.list_flatten(probability).to_numpy(), np.float64)
    starts = np.cumsum(lengths) - lengths
    return np.where(lengths == 2, flat[starts + 1], np.maximum.reduceat(flat, starts))


def _add(sums: dict[int, _ShiftedHour], hours: Ints, shifts: Floats) -> None:
    numbers, which = np.unique(hours, return_inverse=True)
    events, totals, squares = (
        np.bincount(which, weights, len(numbers)).tolist() for weights in (None, shifts, shifts**2)
    )
    for position, number in enumerate(numbers.tolist()):
        sums[number].events += events[position]
        sums[number].total += totals[position]
        sums[number].squares += squares[position]


def _over(sums: dict[int, _ShiftedHour], end: int) -> HourShifts:
    over = [sums[number] for number in sorted(sums) if number < end and sums[number].events >= FEWEST_EVENTS]
    events = np.array([hour.events for hour in over], np.int64)
    mean = np.array([hour.total for hour in over], np.float64) / events
    # Rounding can leave a little less than nothing where all shifts are equal.
    variance = np.maximum(np.array([hour.squares for hour in over], np.float64) / events - mean**2, 0.0)
    return HourShifts(events, mean, variance)
