"""How sure the metrics of both sides are, and their difference: a paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streaming.backtest.draws import Draws
from streaming.backtest.metrics import Measure, Metric, SideJudge
from streaming.statistics.intervals import Estimate, expanded_tail, percentile_interval

_WORTH_POOLING = 10
"""Events in a unit."""


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
        difference = self.difference
        if self.metric.higher_is_better:
            return difference
        return Estimate(-difference.value, -difference.high, -difference.low)


def paired_bootstrap(
    judges: tuple[SideJudge, SideJudge], draws: Draws, confidence: float, seed: int = 1
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
    # Seeded: the same data must give the same report.
    random = np.random.default_rng(seed)
    drawn = np.empty((draws.replicates, 2, len(judges[0].metrics)))
    measures = [_measure(judge, draws) for judge in judges]
    for row in drawn:
        weights = draws.weights(random)
        row[0], row[1] = (measure(weights) for measure in measures)
    # Every event counted once: the values of the data themselves.
    once = np.ones(len(draws.unit))
    values = np.stack([judge(once) for judge in judges])
    tail = expanded_tail(confidence, draws.count)
    return tuple(
        Measured(
            metric,
            percentile_interval(values[0, position], drawn[:, 0, position], tail),
            percentile_interval(values[1, position], drawn[:, 1, position], tail),
            percentile_interval(
                values[1, position] - values[0, position], drawn[:, 1, position] - drawn[:, 0, position], tail
            ),
        )
        for position, metric in enumerate(judges[0].metrics)
    )


def _measure(judge: SideJudge, draws: Draws) -> Measure:
    if len(draws.unit) >= _WORTH_POOLING * draws.count:
        return judge.pooled(draws.unit, draws.count)
    return lambda weights: judge(weights[draws.unit])
