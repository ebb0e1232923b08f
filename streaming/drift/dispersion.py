"""How much windows differ from each other when nothing has drifted, learnt from the reference's own windows.

Rows of one window are alike: an hour's weather, a day's timetable. Chance alone would scatter a window's shares by 1/m;
with a correlation r inside windows they scatter by 1/m + r, however large m grows. A threshold that knows only of
chance alarms on every busy hour. The estimate is the method of moments for clustered counts (Rao and Scott 1992; for
shares it is Kleinman's 1973), and r is 0 unless the windows differ by more than chance explains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streaming.drift import tails
from streaming.drift.pair import aligned, shares
from streaming.drift.scores import normal_scores
from streaming.models.profile import ColumnProfile

FEWEST = 8
"""Of fewer windows nothing is learnt: their differences are unknown and only chance is allowed for."""
_CHANCE = 0.05


@dataclass(frozen=True)
class Dispersion:
    """What windows of the reference scatter by: ``extra`` is the r above, ``windows`` the number it was learnt from.

    ``degrees`` are the effective ones of a whole distribution's scatter, which may happen in few directions.
    """

    extra: float
    windows: int
    degrees: float = 0.0

    def scatter(self, n: float, m: float) -> float:
        """Return the variance of the difference of a window and the reference, for a variable of variance one."""
        chance = 1 / n + 1 / m
        return chance + self.extra * (1 + 1 / self.windows) if self.extra else chance


NONE = Dispersion(0.0, 0)


@dataclass(frozen=True)
class Dispersions:
    """A column's: of its level (a number's mean normal score), its whole shape, and each special cell's rate."""

    level: Dispersion
    shape: Dispersion
    special: tuple[Dispersion, Dispersion, Dispersion]


def learn(profile: ColumnProfile) -> Dispersions:
    """Return what the profile's windows tell."""
    windows = [cells for cells in (aligned(profile, window) for window in profile.windows) if sum(cells)]
    if len(windows) < FEWEST:
        return Dispersions(NONE, NONE, (NONE, NONE, NONE))
    cells = range(len(windows[0]))
    first, second, third = (_of_rate(windows, cells[place]) for place in (-3, -2, -1))
    level = _of_scores(windows, profile) if profile.kind == "numeric" else NONE
    return Dispersions(level, _of_shape(windows), (first, second, third))


def _of_rate(windows: Sequence[Sequence[int]], place: int) -> Dispersion:
    values = [window[place] / sum(window) for window in windows]
    share = sum(window[place] for window in windows) / sum(map(sum, windows))
    return _moments(values, [sum(window) for window in windows], share, share * (1 - share))


def _of_scores(windows: Sequence[Sequence[int]], profile: ColumnProfile) -> Dispersion:
    scores = normal_scores(aligned(profile, profile.counts)[:-3])
    known = [window[:-3] for window in windows if sum(window[:-3])]
    values = [math.fsum(q * score for q, score in zip(shares(window), scores, strict=True)) for window in known]
    every = [sum(column) for column in zip(*known, strict=True)]
    together = shares(every)
    mean = math.fsum(q * score for q, score in zip(together, scores, strict=True))
    variance = math.fsum(q * (score - mean) ** 2 for q, score in zip(together, scores, strict=True))
    return _moments(values, [sum(window) for window in known], mean, variance)


def _moments(values: Sequence[float], sizes: Sequence[int], mean: float, variance: float) -> Dispersion:
    if variance <= 0 or len(values) < FEWEST:
        return NONE
    found = math.fsum(m * (value - mean) ** 2 for value, m in zip(values, sizes, strict=True)) / variance
    degrees = len(values) - 1
    if tails.chi_square(found, degrees) > _CHANCE:
        return NONE
    return Dispersion((found - degrees) / _weight(sizes), len(values))


def _weight(sizes: Sequence[int]) -> float:
    every = sum(sizes)
    return max(math.fsum((m - 1) * (1 - m / every) for m in sizes), 1.0)


def _of_shape(windows: Sequence[Sequence[int]]) -> Dispersion:
    kept = [cells for cells in zip(*windows, strict=True) if sum(cells)]
    sizes = [sum(window) for window in windows]
    if len(kept) < 2:
        return NONE
    together = shares([sum(cells) for cells in kept])
    each = [
        m * math.fsum((cells[place] / m - p) ** 2 / p for cells, p in zip(kept, together, strict=True))
        for place, m in enumerate(sizes)
    ]
    bins, found = len(kept) - 1, math.fsum(each)
    degrees = bins * (len(windows) - 1)
    if tails.chi_square(found, degrees) > _CHANCE:
        return NONE
    extra = (found - degrees) / bins / _weight(sizes)
    # Scatter in few directions spreads the statistic more than its mean tells: Satterthwaite's degrees by its moments.
    relative = [x / (1 + extra * (m - 1)) for x, m in zip(each, sizes, strict=True)]
    mean = math.fsum(relative) / len(relative)
    variance = math.fsum((x - mean) ** 2 for x in relative) / (len(relative) - 1)
    return Dispersion(extra, len(windows), min(max(2 * mean**2 / variance, 1.0), bins) if variance else bins)
