"""Numbers counted in bins: those of two samples in common ones, for the distances."""

from __future__ import annotations

import numpy as np

from streaming.statistics.arrays import Floats, Ints


def decile_cuts(values: Floats) -> Floats:
    """Return the nine deciles, rising; fewer where values are equal."""
    return np.unique(np.quantile(values, np.arange(0.1, 0.95, 0.1)))


def bins_of(values: Floats, cuts: Floats) -> Ints:
    """Return each value's bin; a value that is a cut is in the bin below it."""
    return np.searchsorted(cuts, values, side="left")


def counts_by_decile(reference: Floats, other: Floats) -> tuple[Ints, Ints]:
    """Count both samples in the tenths of the reference."""
    cuts = decile_cuts(reference)
    before, now = (np.bincount(bins_of(side, cuts), minlength=len(cuts) + 1) for side in (reference, other))
    return before, now


def counts_by_value(first: Floats, second: Floats) -> tuple[Ints, Ints]:
    """Count both samples in a bin for each distinct value of either, in order, so that no bin hides a difference.

    >>> [side.tolist() for side in counts_by_value(np.array([0.5, 0.1]), np.array([0.5, 0.5]))]
    [[1, 1], [0, 2]]
    """
    values = np.unique(np.concatenate([first, second]))
    # Sorting numbers is several times as fast as finding their order, by which unique would count.
    below = (np.searchsorted(np.sort(side), values, side="right") for side in (first, second))
    before, now = (np.diff(side, prepend=0) for side in below)
    return before, now
