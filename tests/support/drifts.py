"""Profiles, windows and made-up counts for the tests of drift."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.drift.decision import WindowCounts
from streaming.drift.pair import Pair
from streaming.models.profile import ColumnProfile, Counts
from tests.support.laws import examples

Ints = NDArray[np.int64]
unhurried = examples(40)
"""For laws whose first example loads scipy, on a machine that has other things to do."""
SPECIAL = (253, 254, 255)


def numeric(reference: Sequence[int], name: str = "x", windows: Sequence[Sequence[int]] = ()) -> ColumnProfile:
    """A column of unit bins with their centres and the spread at them. The last three counts are special."""
    bins = len(reference) - 3
    centres = tuple(position + 0.5 for position in range(bins))
    known = np.repeat(centres, list(reference[:-3]))
    spread = float(known.std()) if len(known) else 0.0
    edges = tuple(float(position) for position in range(1, bins))
    kept = tuple(counted(window) for window in windows)
    return ColumnProfile(name, "numeric", counted(reference), edges, (), centres, spread, kept)


def categorical(reference: Sequence[int], name: str = "x", windows: Sequence[Sequence[int]] = ()) -> ColumnProfile:
    """A column of categories ``c0``, ``c1``, ...; the last three counts are the special ones."""
    names = tuple(f"c{position}" for position in range(len(reference) - 3))
    kept = tuple(counted(window) for window in windows)
    return ColumnProfile(name, "categorical", counted(reference), (), names, windows=kept)


def counted(row: Sequence[int] | Ints) -> Counts:
    """Bin id to rows of a row of counts that ends with the three special bins."""
    places = (*range(len(row) - 3), *SPECIAL)
    return {position: int(count) for position, count in zip(places, row, strict=True) if count}


def pair(profile: ColumnProfile, window: Sequence[int] | Ints) -> Pair:
    return Pair.of(profile, counted(window))


def window(*columns: Sequence[int] | Ints, start: float = 0.0, invalid: int = 0) -> WindowCounts:
    """A window of a minute with these rows of counts."""
    rows = int(sum(columns[0])) if columns else 0
    return WindowCounts(start, start + 60, rows, invalid, tuple(counted(row) for row in columns))


def normal_shares(bins: int = 10, shift: float = 0.0, nulls: float = 0.0, unseen: float = 0.0) -> list[float]:
    """Shares of a shifted normal in the deciles (or so) of a standard one, then of null, not finite and unseen."""
    law = NormalDist(shift)
    below = [0.0, *(law.cdf(NormalDist().inv_cdf(position / bins)) for position in range(1, bins)), 1.0]
    values = [(b - a) * (1 - nulls - unseen) for a, b in pairwise(below)]
    return [*values, nulls, 0.0, unseen]


def rows_of(bins: int, largest: int = 5_000) -> st.SearchStrategy[list[int]]:
    """A side's counts, with at least one row among its bins."""
    return st.lists(st.integers(0, largest), min_size=bins, max_size=bins).filter(any)


sides = st.integers(2, 15).flatmap(lambda bins: st.tuples(rows_of(bins), rows_of(bins)))
"""Counts of reference and window in the same bins."""
