"""The growth of a series: its least-squares slope, with bounds that hold for samples that depend on each other.

Samples seconds apart are alike, so the textbook error of a slope is far too small; and every swap moves memory up and
down. So each period from swap to swap becomes one value first, which takes the swap's rhythm out. The dependence that
is left between these values is taken for AR(1): it shrinks the number of samples that count to n (1 - r) / (1 + r), for
the residuals' variance and for Student's t alike (Santer et al., J. Geophys. Res. 105, 2000, 7337-7356).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]
Points = tuple[Sequence[float], Sequence[float]]
"""Times in seconds, ascending, and the values at them."""
Limit = Callable[[float], float]
"""From a series' mean to the growth a day that is too much."""
Value = Callable[[Array], Any]
"""From a period's samples to the one value that stands for them."""
Verdict = Literal["flat", "growing", "not resolved"]

DAY = 86_400.0
CONFIDENCE = 0.95
_FEWEST = 4
"""Values that a slope is drawn through; fewer say nothing about its error."""


@dataclass(frozen=True)
class Trend:
    """How a series grows, in its own unit a day; the one-sided 95 % bounds are ``margin`` below and above ``slope``.

    ``minutes`` is how long it was looked at, ``limit`` the growth from which on it does not count as flat.
    """

    mean: float
    slope: float
    margin: float
    minutes: float
    limit: float

    @property
    def verdict(self) -> Verdict:
        """``flat`` if even the upper bound is, ``growing`` if even the lower is not; else the run was too short."""
        if self.slope + self.margin <= self.limit:
            return "flat"
        return "growing" if self.slope - self.margin > self.limit else "not resolved"

    @property
    def minutes_needed(self) -> float:
        """How long to look for a verdict if it went on like this; the bounds close in with the 1.5th power of time."""
        distance = abs(self.limit - self.slope)
        if self.verdict != "not resolved":
            return self.minutes
        if math.isinf(self.margin) or distance == 0:
            return math.inf
        return float(self.minutes * (self.margin / distance) ** (2 / 3))

    def share(self, growth: float) -> float:
        """Return a growth as a share of the mean."""
        return growth / self.mean if self.mean else 0.0


def trend(points: Points, period: float, limit: Limit, value: Value = np.mean) -> Trend:
    """Return the trend of a series.

    Args:
        points: the series; the trend's mean is that of its values by period.
        period: its rhythm, in seconds.
        limit: gives the limit for the series' mean.
        value: makes one value of a period's samples.
    """
    times, values = (np.asarray(numbers, float) for numbers in points)
    if not len(times):
        return Trend(mean=math.nan, slope=0.0, margin=math.inf, minutes=0.0, limit=0.0)
    x, y = by_period(times, values, period, value)
    slope, margin = slope_with_margin(x, y) if len(x) >= _FEWEST else (0.0, math.inf)
    mean = float(y.mean())
    return Trend(
        mean=mean, slope=slope * DAY, margin=margin * DAY, minutes=float(times[-1] - times[0]) / 60, limit=limit(mean)
    )


def by_period(times: Array, values: Array, period: float, value: Value) -> tuple[Array, Array]:
    """Count periods back from the last sample; one with less than half the usual number of samples is left out."""
    number = np.floor((times[-1] - times) / period).astype(int)
    counts = np.bincount(number)
    least = max(1.0, float(np.median(counts)) / 2)
    groups = [number == n for n in range(len(counts))[::-1] if counts[n] >= least]
    return np.array([times[group].mean() for group in groups]), np.array([value(values[group]) for group in groups])


def slope_with_margin(x: Array, y: Array) -> tuple[float, float]:
    """Return the least-squares slope and how far its one-sided 95 % bounds are from it."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    residuals = y - y.mean() - slope * centred
    squares = float(residuals @ residuals)
    if squares <= np.finfo(float).eps * float(y @ y):
        return slope, 0.0
    likeness = max(0.0, float(residuals[1:] @ residuals[:-1]) / squares)
    # Two are used up by the line; at least one must be left.
    free = max(1.0, len(x) * (1 - likeness) / (1 + likeness) - 2)
    return slope, float(stats.t.ppf(CONFIDENCE, free)) * math.sqrt(squares / free / spread)
