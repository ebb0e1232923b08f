"""How well scores tell two classes apart, whatever the threshold: AUC and average precision, for weighted events."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streaming.statistics.arrays import Floats, Ints

_GROUPS = 10_000
"""Of neighbouring scores, once units are drawn. Events in one are taken as tied: one pair in so many."""


class Ranked(NamedTuple):
    """How well scores rank; NaN where only one class has weight.

    ``auc`` is the area under the ROC curve: the chance that an event of the class gets the higher score of two, where
    equal scores count half (Mann and Whitney 1947; Hanley and McNeil 1982). ``average_precision`` is the area under the
    precision-recall curve as a sum of steps; between its points a straight line would be too high (Davis and Goadrich
    2006).
    """

    auc: float
    average_precision: float


def auc(score: Floats, true: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of events that count once each; there is at least one.

    >>> auc(np.array([0.1, 0.4, 0.4]), np.array([False, True, False]))
    0.75
    """
    return Ranking(score, true)(np.ones(len(score))).auc


class Ranking:
    """Takes a weight for each event; events of equal score count as tied. The scores are sorted once."""

    def __init__(self, score: Floats, true: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        self._starts = np.flatnonzero(first)
        self._group = np.cumsum(first) - 1
        self._true = true[self._order].astype(np.float64)

    def __call__(self, weights: Floats) -> Ranked:
        """Rank with each event counted ``weights`` times."""
        weight = weights[self._order]
        ones = np.add.reduceat(weight * self._true, self._starts)
        return _ranked(ones, np.add.reduceat(weight, self._starts) - ones)

    def pooled(self, unit: Ints, units: int) -> PooledRanking:
        """Return the same for weights of units."""
        group = self._group
        if len(self._starts) > _GROUPS:
            group = self._starts[group] * _GROUPS // len(group)
        groups = min(len(self._starts), _GROUPS)
        cell = group * units + unit[self._order]
        events, ones = (np.bincount(cell, side, groups * units) for side in (None, self._true))
        return PooledRanking(_table(ones, units), _table(events - ones, units))


class PooledRanking:
    """Takes a weight for each unit; the tables count events by score group (rows, lowest first) and unit."""

    def __init__(self, ones: Floats, zeros: Floats) -> None:
        self._ones, self._zeros = ones, zeros

    def __call__(self, weights: Floats) -> Ranked:
        """Rank with the events of each unit counted ``weights`` times."""
        return _ranked(np.einsum("gu,u->g", self._ones, weights), np.einsum("gu,u->g", self._zeros, weights))


def _table(cells: npt.NDArray[Any], units: int) -> Floats:
    return np.asarray(cells, np.float64).reshape(-1, units)


def _ranked(ones: Floats, zeros: Floats) -> Ranked:
    below = np.cumsum(zeros) - zeros
    all_ones, all_zeros = ones.sum(), zeros.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (ones * (below + zeros / 2)).sum() / (all_ones * all_zeros)
        caught = np.cumsum(ones[::-1])
        called = caught + np.cumsum(zeros[::-1])
        precision = np.where(called > 0, caught / called, 0.0)
        return Ranked(float(area), float((ones[::-1] * precision).sum() / all_ones))
