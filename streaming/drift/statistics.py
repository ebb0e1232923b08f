"""How far a window's distribution is from its reference, on binned counts.

Each function takes the two sides' counts bin by bin. All are 0 where the shares are equal; psi, Jensen-Shannon,
Hellinger and Kolmogorov-Smirnov do not care which side is which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from streaming.drift.pair import Pair, inverse_size, shares

_SMOOTHING = 0.5
"""Added to every count of both sides by the stability index, which has no value where a share is zero."""


def stability_index(reference: Sequence[int], window: Sequence[int]) -> float:
    """Return the population stability index, the sum of (q - p) ln(q / p) with half a row added to each bin."""
    pairs = [(r + _SMOOTHING, w + _SMOOTHING) for r, w in zip(reference, window, strict=True)]
    n, m = (math.fsum(side) for side in zip(*pairs, strict=True))
    return math.fsum((w / m - r / n) * math.log(w * n / (m * r)) for r, w in pairs)


def jensen_shannon(reference: Sequence[int], window: Sequence[int]) -> float:
    """Return the Jensen-Shannon distance (base 2): 0 the same, 1 without overlap."""
    return math.sqrt(max(math.fsum(_divergence(p, q) for p, q in _shares(reference, window)) / 2, 0.0))


def _divergence(p: float, q: float) -> float:
    middle = (p + q) / 2
    return sum(share * math.log2(share / middle) for share in (p, q) if share > 0)


def hellinger(reference: Sequence[int], window: Sequence[int]) -> float:
    """Return the Hellinger distance, from 0 to 1."""
    parts = ((math.sqrt(p) - math.sqrt(q)) ** 2 for p, q in _shares(reference, window))
    return min(math.sqrt(math.fsum(parts) / 2), 1.0)


def chi_square(reference: Sequence[int], window: Sequence[int]) -> tuple[float, int]:
    """Return Pearson's statistic of the 2 x B table and its degrees of freedom; bins empty on both sides are left out.

    It is the sum of (q - p)^2 / s, with s the share of both sides together, divided by 1/n + 1/m.
    """
    n, m = sum(reference), sum(window)
    filled = [(r, w) for r, w in zip(reference, window, strict=True) if r + w]
    if not n or not m or len(filled) < 2:
        return 0.0, 0
    parts = ((w / m - r / n) ** 2 * (n + m) / (r + w) for r, w in filled)
    return math.fsum(parts) / inverse_size(n, m), len(filled) - 1


def chi_square_moments(reference: Sequence[int], window: Sequence[int]) -> tuple[float, float]:
    """Return mean and variance of Pearson's statistic over all ways to deal the rows out to the two sides.

    They are exact (Haldane 1940; Dawson 1954), of four rows or more and two bins. Where bins are rare, the variance is
    above that of the chi-square law.
    """
    n, m = sum(reference), sum(window)
    bins = [r + w for r, w in zip(reference, window, strict=True) if r + w]
    rows, kinds = n + m, len(bins)
    sides = (rows * inverse_size(n, m) - 4) / (rows - 2)
    rare = (rows * math.fsum(1 / cell for cell in bins) - kinds**2) / (rows - 2)
    spread = (rows - 2) / (rows - 1) - sides, (kinds - 1) * (rows - kinds) / (rows - 1) - rare
    variance = 2 * rows / (rows - 3) * spread[0] * spread[1] + rows**2 / (rows - 1) * sides * rare
    return rows * (kinds - 1) / (rows - 1), variance


def kolmogorov_smirnov(reference: Sequence[int], window: Sequence[int]) -> float:
    """Return the largest difference of the shares at or below an edge; bins are in order."""
    below = zip(*(accumulate(shares(side)) for side in (reference, window)), strict=True)
    return max((abs(p - q) for p, q in below), default=0.0)


def wasserstein(pair: Pair) -> float | None:
    """Return the mean distance a value must be moved, in standard deviations of the reference.

    Every value stands at its bin's centre, the reference's mean there. None where centres or spread are unknown, or so
    extreme that the distance is no number.
    """
    centres, spread = pair.profile.centres, pair.profile.spread
    if not centres or spread <= 0:
        return None
    steps = [b - a for a, b in pairwise(centres)]
    below = zip(*(accumulate(shares(side)) for side in pair.values), strict=True)
    return _finite(sum(abs(p - q) * step for (p, q), step in zip(below, steps, strict=False)) / spread)


def mean_shift(pair: Pair) -> float | None:
    """Return how far the mean of the window's values is above the reference's, in its standard deviations.

    Values stand at their bin's centre, so a move inside a bin is not seen. None where :func:`wasserstein` has none.
    """
    centres, spread = pair.profile.centres, pair.profile.spread
    if not centres or spread <= 0:
        return None
    before, now = (shares(side) for side in pair.values)
    return _finite(sum((q - p) * centre for p, q, centre in zip(before, now, centres, strict=True)) / spread)


def _finite(value: float) -> float | None:
    """Return None for what is no number: values near the largest there is, or a spread near the smallest.

    That is why the terms are added by ``sum``: ``fsum`` raises where a sum is infinite.
    """
    return value if math.isfinite(value) else None


def quantile_shift(pair: Pair, chance: float) -> float | None:
    """Return which share of the reference lies below the window's quantile, minus ``chance``; 0 is no shift.

    Inside a bin, values are taken to be spread evenly over the reference's ranks. A median's shift of 0.2 says that the
    window's median is where the reference had its 70th percentile.
    """
    before, now = (shares(side) for side in pair.values)
    if not sum(now) or not sum(before):
        return None
    rank = passed = 0.0
    for p, q in zip(before, now, strict=True):
        if passed + q >= chance and q > 0:
            return rank + p * (chance - passed) / q - chance
        rank, passed = rank + p, passed + q
    return 1.0 - chance


def _shares(reference: Sequence[int], window: Sequence[int]) -> zip[tuple[float, float]]:
    return zip(shares(reference), shares(window), strict=True)
