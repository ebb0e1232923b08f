"""Intervals of confidence: Wilson's for a share, Student's for a mean, percentiles of a bootstrap for all else."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from streaming.statistics.arrays import Floats


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def wilson(count: int, total: int, confidence: float) -> Estimate:
    """Return a share with Wilson's (1927) interval, which holds near 0 and 1 too.

    >>> wilson(0, 0, 0.95).low
    0.0
    """
    if not total:
        return Estimate(float("nan"), 0.0, 1.0)
    z = float(special.ndtri((1 + confidence) / 2))
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(share, low if count else 0.0, high if count < total else 1.0)


def mean_interval(values: Floats, confidence: float) -> Estimate:
    """Return the mean of independent values with Student's interval; with fewer than two, the ends are NaN.

    >>> mean_interval(np.array([1.0, 2.0, 3.0]), 0.95).value
    2.0
    """
    mean = float(values.mean()) if len(values) else float("nan")
    if len(values) < 2:
        return Estimate(mean, float("nan"), float("nan"))
    half = special.stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(len(values))
    return Estimate(mean, mean - float(half), mean + float(half))


def expanded_tail(confidence: float, units: int) -> float:
    """Return the share to leave out at either end, so that few units give wide intervals as Student's t does.

    It is the one of Hesterberg's (2015) expanded percentile interval.

    >>> round(expanded_tail(0.95, 1_000_000), 4), round(expanded_tail(0.95, 20), 4)
    (0.025, 0.0159)
    """
    free = max(units - 1, 1)
    t = special.stdtrit(free, (1 + confidence) / 2)
    return float(special.ndtr(-t * math.sqrt(units / free)))


def percentile_interval(value: float, replicates: Floats, tail: float) -> Estimate:
    """Return the value with the replicates' quantiles ``tail`` and ``1 - tail``; NaN replicates are left out."""
    defined = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(defined):
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
