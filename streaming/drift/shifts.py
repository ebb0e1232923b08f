"""How far a column's values have moved, in standard deviations of its reference."""

from __future__ import annotations

import math

import numpy as np

from streaming.drift.pair import Pair
from streaming.statistics.distances import wasserstein
from streaming.statistics.shares import shares


def value_distance(pair: Pair) -> float | None:
    """Return the mean distance a value must be moved, in standard deviations of the reference.

    Every value stands at its bin's centre, the reference's mean there. None where centres or spread are unknown, or so
    extreme that the distance is no number.
    """
    centres, spread = pair.profile.centres, pair.profile.spread
    if not centres or spread <= 0:
        return None
    return _finite(np.float64(wasserstein(*pair.values, centres)), spread)


def mean_shift(pair: Pair) -> float | None:
    """Return how far the mean of the window's values is above the reference's, in its standard deviations.

    Values stand at their bin's centre, so a move inside a bin is not seen. None where :func:`value_distance` has none.
    """
    centres, spread = pair.profile.centres, pair.profile.spread
    if not centres or spread <= 0:
        return None
    before, now = (shares(side) for side in pair.values)
    with np.errstate(over="ignore", invalid="ignore"):
        return _finite(((now - before) * np.asarray(centres)).sum(), spread)


def _finite(value: np.float64, spread: float) -> float | None:
    """Return ``value / spread``, or None for what is no number: values near the largest, a spread near the smallest."""
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = float(value / spread)
    return deviations if math.isfinite(deviations) else None
