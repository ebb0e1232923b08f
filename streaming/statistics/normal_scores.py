"""Normal scores of ordered bins: what a bin's values would be if the reference were a standard normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special

from streaming.statistics.arrays import Floats
from streaming.statistics.shares import shares

_NOTHING = 1e-12
"""A smaller share is none."""


def normal_scores(reference: Sequence[int]) -> Floats:
    """Return each bin's mean under a standard normal that is cut where the reference's ranks are.

    The test of their mean is the best one against a shifted normal (van der Waerden 1952), and needs no more of other
    distributions than their order. An empty bin stands at its edge. If the reference has no values at all, nothing is
    known of the bins and every score is 0. The array cannot be written to.
    """
    return _scores(tuple(reference))


@lru_cache(maxsize=4096)
def _scores(reference: tuple[int, ...]) -> Floats:
    total = sum(reference)
    ranks = np.concatenate([[0.0], np.cumsum(shares(reference))])
    width = np.diff(ranks)
    # What the reference has nothing of stands where the next of its rows would, were there one more.
    least = 1 / (total + 1)
    edges = special.ndtri(np.clip(ranks[:-1], least, 1 - least)) if total else np.zeros(len(reference))
    filled = width > _NOTHING
    scores = np.where(filled, -np.diff(_heights(ranks)) / np.where(filled, width, 1.0), edges)
    scores.setflags(write=False)
    return scores


def _heights(ranks: Floats) -> Floats:
    """Return the standard normal's density at the quantiles of these ranks; at both ends it is 0."""
    inside = (ranks > _NOTHING) & (ranks < 1 - _NOTHING)
    quantiles = special.ndtri(np.where(inside, ranks, 0.5))
    return np.asarray(np.where(inside, np.exp(-(quantiles**2) / 2) / math.sqrt(2 * math.pi), 0.0))
