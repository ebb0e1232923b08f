"""The other rules, on many windows at once: stability index, Evidently's defaults and NannyML's, per column.

The stability index and NannyML's Jensen-Shannon distance are of the profile's bins, not of bins cut anew. Evidently's
Wasserstein distance is of values so finely cut that it is that of the rows, against a reference without noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, xlogy

from benchmarks.drift.columns import FAR, ColumnMove, Floats, Ints, Reference, cells

_GRID = ndtri(np.arange(1, 250) / 250)
EVIDENTLY = 0.1
DEVIATIONS = 3.0


def stability_index(reference: NDArray[Any], windows: NDArray[Any]) -> Floats:
    """Return each window's index, computed as ours is."""
    p, q = (side + 0.5 for side in (reference, windows))
    p, q = p / p.sum(), q / q.sum(axis=-1, keepdims=True)
    index: Floats = ((q - p) * np.log(q / p)).sum(axis=-1)
    return index


def jensen_shannon(reference: NDArray[Any], windows: NDArray[Any], base: float) -> Floats:
    """Return each window's distance; values that are null are no part of it, as in both peers."""
    # The third cell from the end has the nulls.
    p, q = (np.delete(side, -3, axis=-1).astype(float) for side in (reference, windows))
    p, q = p / p.sum(), q / q.sum(axis=-1, keepdims=True)
    middle = (p + q) / 2
    halves = [xlogy(side, side) - xlogy(side, np.where(middle > 0, middle, 1.0)) for side in (p, q)]
    return np.asarray(np.sqrt(np.maximum((halves[0] + halves[1]).sum(axis=-1) / 2 / np.log(base), 0.0)))


class Fine:
    """A numeric column cut so finely that its windows are as good as rows, in cells that make up the profile's bins."""

    def __init__(self, reference: Reference) -> None:
        self.column = reference.column
        self.cuts = np.unique(np.concatenate([reference.edges, _GRID]))
        self._first = np.concatenate([[0], np.searchsorted(self.cuts, reference.edges) + 1])
        below = ndtr(np.concatenate([[FAR], self.cuts, [-FAR]]))
        self._shares = np.diff(below)
        self._values = self.column.values(np.clip(ndtri((below[1:] + below[:-1]) / 2), FAR, -FAR))
        mean = (self._shares * self._values).sum()
        self._spread = float(np.sqrt((self._shares * (self._values - mean) ** 2).sum()))

    def shares(self, move: ColumnMove) -> Floats:
        return np.asarray(cells(self.column, self.cuts, move)[0])

    def bins(self, drawn: Ints) -> Ints:
        """Return the counts of the profile's bins."""
        return np.concatenate([np.add.reduceat(drawn[:, :-3], self._first, axis=1), drawn[:, -3:]], axis=1)

    def wasserstein(self, drawn: Ints) -> Floats:
        """Return each window's distance in the reference's standard deviations."""
        shares = drawn[:, :-3] / drawn[:, :-3].sum(axis=1, keepdims=True)
        apart = np.abs(np.cumsum(shares - self._shares, axis=1))[:, :-1]
        return np.asarray((apart * np.diff(self._values)).sum(axis=1) / self._spread)


def evidently(reference: NDArray[Any], windows: NDArray[Any], fine: Fine | None, drawn: Ints) -> NDArray[np.bool_]:
    """Say which windows Evidently's default for a reference of more than 1,000 rows would call drifted."""
    distance = fine.wasserstein(drawn) if fine else jensen_shannon(reference, windows, np.e)
    return np.asarray(distance >= EVIDENTLY)


def nannyml(reference: NDArray[Any], chunks: NDArray[Any], windows: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which windows are outside three deviations around the mean of the reference's own chunks."""
    usual = jensen_shannon(reference, chunks, 2)
    low, high = (usual.mean() + sign * DEVIATIONS * usual.std() for sign in (-1, 1))
    distances = jensen_shannon(reference, windows, 2)
    return np.asarray((distances > high) | (distances < max(low, 0.0)))


def thresholds(nulls: Floats, rate: float) -> Floats:
    """Return each column's index that, over all columns, so many windows of ``nulls`` (windows by columns) exceed.

    The chance is the same for every column. No rule on this index could be set better without knowing what will move.
    """
    windows = len(nulls)
    # The second sort turns the order into ranks.
    ranks = (-nulls).argsort(axis=0).argsort(axis=0)
    worst = np.sort(ranks.min(axis=1))
    beyond = max(int(worst[min(round(rate * windows), windows - 1)]), 1)
    return np.asarray(-np.sort(-nulls, axis=0)[beyond])
