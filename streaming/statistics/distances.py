"""How far one distribution is from another, on counts in the same bins.

Each function takes the two sides' counts bin by bin. All are 0 where the shares are equal; the stability index,
Jensen-Shannon, Hellinger and Kolmogorov-Smirnov do not depend on which side is which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from streaming.statistics.arrays import Floats
from streaming.statistics.shares import inverse_size, shares

_SMOOTHING = 0.5
"""Rows added to every bin of both sides by the stability index, which has no value where a share is zero."""


def stability_index(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the population stability index (PSI), the sum of (q - p) ln(q / p), with half a row added to each bin.

    It is Jeffreys' divergence (Jeffreys 1946; Kullback and Leibler 1951), by this name in credit scoring (Lewis 1994).
    The half row is the estimate of shares under Jeffreys' prior (Krichevsky and Trofimov 1981). It makes the index
    finite where a bin is empty. An empty bin of many rows counts for more than one of few rows, which a fixed smallest
    share would not tell apart.
    """
    p, q = (shares(np.asarray(side) + _SMOOTHING) for side in (reference, window))
    return float((q - p) @ np.log(q / p))


def jensen_shannon(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the Jensen-Shannon distance (base 2): 0 the same, 1 without overlap."""
    p, q = shares(reference), shares(window)
    middle = (p + q) / 2
    divergence = special.rel_entr(p, middle).sum() + special.rel_entr(q, middle).sum()
    return math.sqrt(max(float(divergence) / (2 * math.log(2)), 0.0))


def hellinger(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the Hellinger distance, from 0 to 1."""
    differences = np.sqrt(shares(reference)) - np.sqrt(shares(window))
    return min(math.sqrt(float((differences**2).sum()) / 2), 1.0)


def chi_square(reference: ArrayLike, window: ArrayLike) -> tuple[float, int]:
    """Return Pearson's statistic of the 2 x B table and its degrees of freedom; bins empty on both sides are left out.

    It is the sum of (q - p)^2 / s, with s the share of both sides together, divided by 1/n + 1/m.
    """
    p, q = shares(reference), shares(window)
    n, m, together = int(np.sum(reference)), int(np.sum(window)), np.add(reference, window)
    filled = together > 0
    bins = int(filled.sum())
    if not n or not m or bins < 2:
        return 0.0, 0
    squares = (q - p) ** 2 * (n + m) / np.maximum(together, 1)
    return float(squares.sum()) / inverse_size(n, m), bins - 1


def chi_square_moments(reference: ArrayLike, window: ArrayLike) -> tuple[float, float]:
    """Return mean and variance of Pearson's statistic over all ways to deal the rows out to the two sides.

    They are exact (Haldane 1940; Dawson 1954), of four rows or more and two bins. Where bins are rare, the variance is
    above that of the chi-square law.
    """
    n, m = int(np.sum(reference)), int(np.sum(window))
    together = np.asarray(reference) + np.asarray(window)
    bins = together[together > 0]
    rows, kinds = n + m, len(bins)
    sides = (rows * inverse_size(n, m) - 4) / (rows - 2)
    rare = (rows * float((1 / bins).sum()) - kinds**2) / (rows - 2)
    spread = (rows - 2) / (rows - 1) - sides, (kinds - 1) * (rows - kinds) / (rows - 1) - rare
    variance = 2 * rows / (rows - 3) * spread[0] * spread[1] + rows**2 / (rows - 1) * sides * rare
    return rows * (kinds - 1) / (rows - 1), variance


def kolmogorov_smirnov(reference: ArrayLike, window: ArrayLike) -> float:
    """Return the largest difference of the shares at or below an edge; bins are in order."""
    return float(np.abs(_below(reference) - _below(window)).max(initial=0.0))


def wasserstein(reference: ArrayLike, window: ArrayLike, centres: ArrayLike) -> float:
    """Return the mean distance that a value must be moved, where each stands at its bin's centre.

    Bins are in order. The result is infinite or NaN if ``centres`` are too extreme for a number.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.abs(_below(reference) - _below(window))[:-1] * np.diff(np.asarray(centres, np.float64))
        return float(distances.sum())


def quantile_shift(reference: Sequence[int], window: Sequence[int], chance: float) -> float | None:
    """Return which share of the reference lies below the window's quantile, minus ``chance``; 0 is no shift.

    Inside a bin, values are taken to be spread evenly over the reference's ranks. A median's shift of 0.2 says that the
    window's median is where the reference had its 70th percentile. None where a side has no rows.
    """
    if not sum(reference) or not sum(window):
        return None
    rank = passed = 0.0
    for p, q in zip(shares(reference).tolist(), shares(window).tolist(), strict=True):
        if passed + q >= chance and q > 0:
            return float(rank + p * (chance - passed) / q - chance)
        rank, passed = rank + p, passed + q
    return 1.0 - chance


def _below(counts: ArrayLike) -> Floats:
    """Return the shares at or below each bin's upper edge."""
    values = np.cumsum(np.asarray(counts, np.float64))
    return values / values[-1] if len(values) and values[-1] else np.zeros_like(values)
