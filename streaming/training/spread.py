"""Which windows of a long reference are counted apart: spread over its time, and over the phases of whatever repeats.

Every k-th window would do for data without rhythm. Where k shares a factor with a day or a week, all of the chosen
windows have the same few phases: they are more alike than windows are, and unchanged windows of other hours signal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

LONGEST_PERIOD = 30
"""Windows: the phases of every period up to this one are balanced. Longer periods have more phases than a choice of
60 windows could cover; there it is enough that the choice has no rhythm of its own."""
_CALENDAR, _WEIGHT = (7, 24), 4
"""Days of a week and hours of a day repeat in most data: they count as much as so many other periods."""
_SWEEPS = 3
_SEED = 14
"""Any number does; the same windows always give the same choice."""


def spread(windows: Sequence[int], number: int) -> list[int]:
    """Return ``number`` of the windows, one from each of as many equal stretches of their order, in order.

    In each stretch it is the window whose phases have been chosen least, over all periods together.

    Args:
        windows: their numbers in time, rising; a gap is a window without rows.
        number: how many; if there are no more windows than that, all are returned.

    >>> spread([3, 4, 7], 60)
    [3, 4, 7]
    """
    if len(windows) <= number:
        return list(windows)
    draw = random.Random(_SEED)  # noqa: S311 - no secret, and the same at every training
    stretches = _stretches(windows, number)
    for stretch in stretches:
        draw.shuffle(stretch)  # of windows that are equally good the first is taken, which must not have a rhythm
    order = list(range(number))
    draw.shuffle(order)
    chosen: dict[int, int] = {}
    phases = _Phases()
    for stretch_number in order * _SWEEPS:
        if stretch_number in chosen:
            phases.count(chosen[stretch_number], -1)
        chosen[stretch_number] = min(stretches[stretch_number], key=phases.crowd)
        phases.count(chosen[stretch_number], 1)
    return sorted(chosen.values())


def _stretches(windows: Sequence[int], number: int) -> list[list[int]]:
    edges = [part * len(windows) // number for part in range(number + 1)]
    return [list(windows[start:end]) for start, end in pairwise(edges)]


class _Phases:
    """How many chosen windows each phase of each period has."""

    def __init__(self) -> None:
        periods = range(2, LONGEST_PERIOD + 1)
        self._counts = {period: [0] * period for period in periods}
        self._weights = {period: period * (_WEIGHT if period in _CALENDAR else 1) for period in periods}

    def count(self, window: int, times: int) -> None:
        for period, counts in self._counts.items():
            counts[window % period] += times

    def crowd(self, window: int) -> int:
        """Return how crowded the window's phases are, relative to an even share of them."""
        return sum(counts[window % period] * self._weights[period] for period, counts in self._counts.items())
