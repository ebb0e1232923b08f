"""Intervals as people read them, the same on the terminal and on the page."""

from __future__ import annotations

from math import isfinite

from streaming.statistics.intervals import Estimate
from streaming.words import NOT_DEFINED, signed


def span(estimate: Estimate) -> str:
    """Return a difference's interval.

    >>> span(Estimate(0.0, -0.01, 0.02))
    '-0.0100 to +0.0200'
    """
    return f"{signed(estimate.low)} to {signed(estimate.high)}" if isfinite(estimate.value) else NOT_DEFINED
