"""Normal scores of ordered bins: what a bin's values would be if the reference were a standard normal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from statistics import NormalDist

from streaming.drift.pair import shares

_NORMAL = NormalDist()


def normal_scores(reference: Sequence[int]) -> tuple[float, ...]:
    """Return each bin's mean under a standard normal that is cut where the reference's ranks are.

    The test of their mean is the best one against a shifted normal (van der Waerden 1952), and needs no more of other
    distributions than their order. An empty bin stands at its edge. If the reference has no values at all, nothing is
    known of the bins and every score is 0.
    """
    return _scores(tuple(reference))


@lru_cache(maxsize=4096)
def _scores(reference: tuple[int, ...]) -> tuple[float, ...]:
    if not any(reference):
        return (0.0,) * len(reference)
    ranks = [0.0, *accumulate(shares(reference))]
    heights = [_height(rank) for rank in ranks]
    # What the reference has nothing of stands where the next of its rows would, were there one more.
    least = 1 / (sum(reference) + 1)
    return tuple(
        (heights[place] - heights[place + 1]) / (high - low) if high - low > 1e-12 else _quantile(low, least)
        for place, (low, high) in enumerate(pairwise(ranks))
    )


def _height(rank: float) -> float:
    return _NORMAL.pdf(_NORMAL.inv_cdf(rank)) if 1e-12 < rank < 1 - 1e-12 else 0.0


def _quantile(rank: float, least: float) -> float:
    return _NORMAL.inv_cdf(min(max(rank, least), 1 - least))
