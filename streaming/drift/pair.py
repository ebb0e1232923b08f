"""One column's reference and one window's counts of it, side by side in the same bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from streaming.models.profile import ColumnProfile, Counts

SPECIAL = 3
"""The last cells of a column: null, not finite, and a category outside the list."""


@dataclass(frozen=True)
class Pair:
    """Counts of the reference and of the window, bin by bin in ``profile.bins``' order.

    ``n`` and ``m`` are their rows, of every bin, and above zero.
    """

    profile: ColumnProfile
    reference: tuple[int, ...]
    window: tuple[int, ...]

    @classmethod
    def of(cls, profile: ColumnProfile, window: Mapping[int, int]) -> Pair:
        """Align the counts; those of bins that the profile does not have are of values it does not know."""
        return cls(profile, aligned(profile, profile.counts), aligned(profile, window))

    @cached_property
    def n(self) -> int:
        """Rows of the reference."""
        return sum(self.reference)

    @cached_property
    def m(self) -> int:
        """Rows of the window."""
        return sum(self.window)

    @cached_property
    def values(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The bins of values alone, the reference's and the window's."""
        return self.reference[:-SPECIAL], self.window[:-SPECIAL]

    @property
    def ordered(self) -> bool:
        """True if the bins of values have an order: a number's have one, categories have none."""
        return self.profile.kind == "numeric"


def aligned(profile: ColumnProfile, counts: Counts | Mapping[int, int]) -> tuple[int, ...]:
    """Return the counts in the order of ``profile.bins``."""
    cells = [counts.get(bin_, 0) for bin_ in profile.bins]
    cells[-1] += sum(counts.values()) - sum(cells)
    return tuple(cells)
