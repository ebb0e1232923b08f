"""How sure a number is: Wilson's interval for a share, a paired bootstrap for metrics and their difference."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from streaming.backtest.answers import Floats
from streaming.backtest.draws import Draws
from streaming.backtest.metrics import Judge, Measure, Metric

_WORTH_POOLING = 10
"""Events in a unit."""


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A metric of both sides, and the candidate's minus the recorded one."""

    metric: Metric
    recorded: Estimate
    candidate: Estimate
    difference: Estimate

    @property
    def gain(self) -> Estimate:
        """The difference with its sign turned where less is better: above zero, the candidate is better."""
        found = self.difference
        if self.metric.higher_is_better:
            return found
        return Estimate(-found.value, -found.high, -found.low)


def wilson(count: int, total: int, confidence: float) -> Estimate:
    """Return a share with Wilson's interval, which holds near 0 and 1 too.

    >>> wilson(0, 0, 0.95).low
    0.0
    """
    if not total:
        return Estimate(float("nan"), 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(share, low if count else 0.0, high if count < total else 1.0)


def paired_bootstrap(
    judges: tuple[Judge, Judge], draws: Draws, confidence: float, seed: int = 1
) -> tuple[Measured, ...]:
    """Measure both sides on the same events, drawn again and again with replacement.

    Both sides are always judged on the same draw, so what makes an event hard for both takes no part in the difference.
    The intervals are percentiles, taken further out where there are few units to draw (Hesterberg's expanded ones).

    Args:
        judges: recorded, candidate.
        draws: what is drawn and how often.
        confidence: of the intervals, between 0 and 1.
        seed: of the draws; the same seed gives the same intervals.
    """
    random = np.random.default_rng(seed)
    found = np.empty((draws.replicates, 2, len(judges[0].metrics)))
    measures = [_measure(judge, draws) for judge in judges]
    for row in found:
        weights = draws.weights(random)
        row[0], row[1] = (measure(weights) for measure in measures)
    once = np.ones(len(draws.unit))
    values = np.stack([judge(once) for judge in judges])
    tail = expanded_tail(confidence, draws.count)
    return tuple(
        Measured(
            metric,
            _estimate(values[0, place], found[:, 0, place], tail),
            _estimate(values[1, place], found[:, 1, place], tail),
            _estimate(values[1, place] - values[0, place], found[:, 1, place] - found[:, 0, place], tail),
        )
        for place, metric in enumerate(judges[0].metrics)
    )


def _measure(judge: Judge, draws: Draws) -> Measure:
    if len(draws.unit) >= _WORTH_POOLING * draws.count:
        return judge.pooled(draws.unit, draws.count)
    return lambda weights: judge(weights[draws.unit])


def expanded_tail(confidence: float, units: int) -> float:
    """Return the share to leave out at either end, so that few units give wide intervals as Student's t does.

    >>> round(expanded_tail(0.95, 1_000_000), 4), round(expanded_tail(0.95, 20), 4)
    (0.025, 0.0159)
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    free = max(units - 1, 1)
    # Student's quantile by the first terms of its expansion; exact to 0.001 from 20 units on.
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return NormalDist().cdf(-t * sqrt(units / free))


def _estimate(value: float, replicates: Floats, tail: float) -> Estimate:
    defined = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(defined):
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
