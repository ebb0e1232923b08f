"""Counts as shares of their sum, and how far chance scatters them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from streaming.statistics.arrays import Floats


def shares(counts: ArrayLike) -> Floats:
    """Return each count's share of their sum, or zeros if the sum is zero.

    >>> shares([1, 3]).tolist(), shares([0, 0]).tolist()
    ([0.25, 0.75], [0.0, 0.0])
    """
    values = np.asarray(counts, np.float64)
    total = values.sum()
    return values / total if total else np.zeros_like(values)


def inverse_size(n: float, m: float) -> float:
    """Return 1/n + 1/m, by which chance scatters the difference of two samples' shares."""
    return 1 / n + 1 / m
