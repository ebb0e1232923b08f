"""How much windows differ from each other when nothing has drifted, learnt from the reference's own windows.

Rows of one window are alike: an hour's weather, a day's timetable. Chance alone would scatter a window's shares by 1/m;
with a correlation r inside windows they scatter by 1/m + r, however large m grows. A threshold that knows only of
chance alarms on every busy hour. The estimate is the method of moments for clustered counts (Rao and Scott 1992; for
shares it is Kleinman's 1973).

Where windows differ by no more than chance explains, nothing is learnt and r is 0. A single column's windows tell a
small r badly, but windows that are alike are so in most columns: if all columns together say so, each is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streaming.drift.pair import SPECIAL, aligned
from streaming.models.profile import ColumnProfile
from streaming.statistics import tails
from streaming.statistics.normal_scores import normal_scores
from streaming.statistics.shares import inverse_size, shares

FEWEST = 8
"""Fewer windows than this teach nothing: their differences are unknown, and only chance is allowed for."""
_CHANCE = 0.05


@dataclass(frozen=True)
class Dispersion:
    """What windows of the reference scatter by: ``extra`` is the r above, learnt from so many ``windows``.

    For a shape it is the mean over ``parts`` directions. Without windows there is chance alone.
    """

    extra: float = 0.0
    windows: int = 0
    parts: int = 1

    def scatter(self, n: float, m: float) -> float:
        """Return the variance of the difference of a window and the reference, for a variable of variance one."""
        chance = inverse_size(n, m)
        return chance + self.extra * (1 + 1 / self.windows) if self.windows else chance

    def learnt(self, n: float, m: float) -> float:
        """Return the share of the scatter that is not chance: 0 where windows differ no more than chance explains."""
        return 1 - inverse_size(n, m) / self.scatter(n, m)

    def degrees(self, learnt: float) -> float:
        """Return those of Student's law where ``learnt`` is the learnt share of the scatter: fewer, the more it is."""
        return (self.windows - 1) / learnt

    @property
    def whole(self) -> Dispersion:
        """All of a shape's in a single direction."""
        return Dispersion(self.extra * self.parts, self.windows)


NONE = Dispersion()


@dataclass(frozen=True)
class Dispersions:
    """A column's: of its level (a number's mean normal score), its whole shape, and each special cell's rate."""

    level: Dispersion
    shape: Dispersion
    special: tuple[Dispersion, ...]


@dataclass(frozen=True)
class Scatter:
    """Squared differences of ``windows`` windows, summed. Chance alone would make ``degrees`` of them.

    ``weight`` is what a correlation of one would add to each of the ``parts`` they are of.
    """

    squares: float = 0.0
    degrees: int = 0
    weight: float = 1.0
    windows: int = 0
    parts: int = 1

    @property
    def chance(self) -> float:
        """The probability of a scatter at least as large if the rows of a window are independent."""
        return tails.chi_square(self.squares, self.degrees) if self.degrees else 1.0

    @property
    def dispersion(self) -> Dispersion:
        """The dispersion that was learnt."""
        if not self.degrees:
            return NONE
        return Dispersion(max(self.squares - self.degrees, 0.0) / self.parts / self.weight, self.windows, self.parts)


@dataclass(frozen=True)
class Scatters:
    """A column's, like :class:`Dispersions`."""

    level: Scatter
    shape: Scatter
    special: tuple[Scatter, ...]


def learn(profiles: Sequence[ColumnProfile]) -> list[Dispersions]:
    """Return what the windows of each column tell."""
    scatters = [_scatters(profile) for profile in profiles]
    every = Scatter(
        sum(scatter.shape.squares for scatter in scatters), sum(scatter.shape.degrees for scatter in scatters)
    )
    return [_believed(scatter, every.chance <= _CHANCE) for scatter in scatters]


def _believed(scatters: Scatters, alike: bool) -> Dispersions:
    if not alike and min(scatters.shape.chance, scatters.level.chance) > _CHANCE / 2:
        # A special cell may scatter by itself, as when a source fails for an hour; its rows hardly move the shape.
        special = (cell.dispersion if cell.chance <= _CHANCE / SPECIAL else NONE for cell in scatters.special)
        return Dispersions(NONE, NONE, tuple(special))
    return Dispersions(
        scatters.level.dispersion, scatters.shape.dispersion, tuple(cell.dispersion for cell in scatters.special)
    )


def _scatters(profile: ColumnProfile) -> Scatters:
    windows = [cells for cells in (aligned(profile, window) for window in profile.windows) if sum(cells)]
    if len(windows) < FEWEST:
        return Scatters(Scatter(), Scatter(), (Scatter(),) * SPECIAL)
    sizes = [sum(window) for window in windows]
    columns = list(zip(*windows, strict=True))
    cells = tuple(_of_rate(column, sizes) for column in columns)
    shape = _of_shape(cells, shares([sum(column) for column in columns]).tolist())
    level = _of_scores(windows, profile) if profile.kind == "numeric" else Scatter()
    return Scatters(level, shape, cells[-SPECIAL:])


def _of_rate(counts: Sequence[int], sizes: Sequence[int]) -> Scatter:
    share = sum(counts) / sum(sizes)
    values = [count / m for count, m in zip(counts, sizes, strict=True)]
    return _moments(values, sizes, share, share * (1 - share))


def _of_shape(cells: Sequence[Scatter], together: Sequence[float]) -> Scatter:
    """Add the cells up to the chi-square of the table of windows by cells."""
    squares = math.fsum(cell.squares * (1 - share) for cell, share in zip(cells, together, strict=True))
    # One less: the shares of a window add up to 1.
    bins = sum(1 for cell in cells if cell.degrees) - 1
    if bins < 1:
        return Scatter()
    example = next(cell for cell in cells if cell.degrees)
    return Scatter(
        squares=squares, degrees=bins * example.degrees, weight=example.weight, windows=example.windows, parts=bins
    )


def _of_scores(windows: Sequence[Sequence[int]], profile: ColumnProfile) -> Scatter:
    scores = normal_scores(aligned(profile, profile.counts)[:-SPECIAL])
    filled = [window[:-SPECIAL] for window in windows if sum(window[:-SPECIAL])]
    if len(filled) < FEWEST:
        return Scatter()
    values = [float((shares(window) * scores).sum()) for window in filled]
    together = shares([sum(column) for column in zip(*filled, strict=True)])
    mean = float((together * scores).sum())
    variance = float((together * (scores - mean) ** 2).sum())
    return _moments(values, [sum(window) for window in filled], mean, variance)


def _moments(values: Sequence[float], sizes: Sequence[int], mean: float, variance: float) -> Scatter:
    if variance <= 0:
        return Scatter()
    squares = math.fsum(m * (value - mean) ** 2 for value, m in zip(values, sizes, strict=True)) / variance
    every = sum(sizes)
    weight = max(math.fsum((m - 1) * (1 - m / every) for m in sizes), 1.0)
    return Scatter(squares, len(values) - 1, weight, len(values))
