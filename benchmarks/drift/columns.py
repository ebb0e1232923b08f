"""Made-up columns whose every distribution is known exactly, so that windows of any size are drawn as counts.

Each value is a rising function of a standard normal variable, the latent one. A bin's share is then a difference of the
normal distribution function, a shift moves the latent variable, and rows of one window are alike (correlation ``r``)
where they share a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from streaming.models.profile import ColumnProfile, Counts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DECILES = np.arange(1, 10) / 10
TAILS = np.array([0.01, 0.05, 0.95, 0.99])
ZEROS = NormalDist().inv_cdf(0.9)
"""A mostly-zero column is zero below this."""
FAR = -12.0
"""A latent value that none is below."""


@dataclass(frozen=True)
class SimulatedColumn:
    """A column: how its values come from the latent variable, and the share of nulls.

    ``atoms`` are the shares of categories or of a discrete number's values.
    """

    name: str
    kind: Literal["normal", "skewed", "zeros", "discrete", "categorical"]
    nulls: float = 0.0
    atoms: tuple[float, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.kind != "categorical"

    def values(self, latent: Floats) -> Floats:
        """Return the numbers that latent values stand for."""
        if self.kind == "skewed":
            return np.asarray(np.exp(latent))
        if self.kind == "zeros":
            return np.asarray(np.maximum(latent - ZEROS, 0.0))
        return np.searchsorted(self.cuts, latent, side="right").astype(float) if self.atoms else latent

    @property
    def cuts(self) -> Floats:
        """Where the latent variable goes from one atom to the next."""
        return np.asarray(ndtri(np.cumsum(self.atoms)[:-1]))

    def edges(self, rng: np.random.Generator, rows: int) -> Floats:
        """Return where training would cut the column: at deciles and both ends, a mostly-zero one in its tail too."""
        if self.kind == "categorical":
            return self.cuts
        every = np.union1d(DECILES, TAILS)
        lowest, *inner, highest = self._stands(_quantiles(every, rng, int(rows * (1 - self.nulls))))
        deciles = np.unique(np.array(inner)[np.isin(every, DECILES)])
        chosen = deciles if len(deciles) > 2 else inner
        return np.unique([lowest, *chosen, -FAR if self.atoms else highest])

    def _stands(self, latent: Floats) -> Floats:
        """Return the lowest latent values that stand for the same numbers."""
        if self.kind == "zeros":
            return np.where(latent > ZEROS, latent, FAR)
        if not self.atoms:
            return latent
        return np.concatenate([[FAR], self.cuts])[np.searchsorted(self.cuts, latent, side="right")]


@dataclass(frozen=True)
class ColumnMove:
    """What happened to a column: a shift of its latent variable, more nulls, or a share of a category never seen."""

    name: str
    column: str
    shift: float = 0.0
    nulls: float = 0.0
    unseen: float = 0.0


STILL = ColumnMove("none", "")


def cells(
    column: SimulatedColumn, edges: Floats, move: ColumnMove = STILL, level: Floats | None = None, r: float = 0.0
) -> Floats:
    """Return each window's share of every bin, then of nulls, not finite and unseen.

    ``level`` is what each window's rows share, a standard normal number a window.
    """
    common = np.zeros(1) if level is None else level
    below = ndtr((edges[None, :] - move.shift - np.sqrt(r) * common[:, None]) / np.sqrt(1 - r))
    values = np.diff(below, axis=1, prepend=0.0, append=1.0)
    nulls = column.nulls + move.nulls
    special = np.broadcast_to([nulls, 0.0, move.unseen], (len(values), 3))
    return np.concatenate([values * (1 - nulls - move.unseen), special], axis=1)


@dataclass(frozen=True)
class Reference:
    """One column's profile, drawn anew, with its latent edges."""

    column: SimulatedColumn
    profile: ColumnProfile
    edges: Floats


def _quantiles(shares: Floats, rng: np.random.Generator, rows: int) -> Floats:
    """Draw a sample's quantiles and both ends without the sample: uniform ranks leave gaps that are gamma variables."""
    ranks = np.concatenate([[1], np.ceil(shares * rows), [rows]])
    gaps = rng.standard_gamma(np.diff(ranks, prepend=0, append=rows + 1))
    return np.asarray(ndtri(np.cumsum(gaps)[:-1] / gaps.sum()))


@dataclass(frozen=True)
class ReferencePlan:
    """How references are drawn: rows, of how many equal windows (0: nothing is known of windows), alike by ``r``."""

    rows: int
    windows: int = 0
    r: float = 0.0


def draw_reference(
    column: SimulatedColumn,
    rng: np.random.Generator,
    plan: ReferencePlan,
    levels: Floats | None = None,
    apart: Sequence[int] | None = None,
) -> Reference:
    """Draw a column's reference, with edges of its own.

    ``levels`` is what the rows of each window share, by default drawn. ``apart`` says which windows are counted apart,
    by default all.
    """
    edges = column.edges(rng, plan.rows)
    parts = max(plan.windows, 1)
    shares = cells(column, edges, STILL, rng.standard_normal(parts) if levels is None else levels, plan.r)
    if column.numeric:
        # No row of the reference is beyond the ends that were cut by it.
        for end, beside in ((0, 1), (len(edges), len(edges) - 1)):
            shares[:, beside] += shares[:, end]
            shares[:, end] = 0.0
        profile = ColumnProfile(column.name, "numeric", {}, tuple(map(float, edges)))
    else:
        names = tuple(f"c{number}" for number in range(len(edges) + 1))
        profile = ColumnProfile(name=column.name, kind="categorical", counts={}, edges=(), categories=names)
    counts = rng.multinomial(plan.rows // parts, shares)
    chosen = counts if apart is None else counts[list(apart)]
    windows = tuple(as_counts(profile, part) for part in chosen) if plan.windows else ()
    return Reference(column, replace(profile, counts=as_counts(profile, counts.sum(axis=0)), windows=windows), edges)


def as_counts(profile: ColumnProfile, row: Sequence[int] | NDArray[Any]) -> Counts:
    """Return bin id to rows."""
    return {bin_id: int(count) for bin_id, count in zip(profile.bins, row, strict=True) if count}


def columns(number: int) -> tuple[SimulatedColumn, ...]:
    """Return so many columns of every sort, in the mix of a usual table."""
    zipf = 1 / np.arange(1, 41)
    forty = tuple(map(float, zipf / zipf.sum()))
    counts = tuple(float(x) for x in np.array([5, 15, 22, 22, 17, 10, 5, 2.2, 0.9, 0.9]) / 100)
    sorts = [
        SimulatedColumn("normal", "normal"),
        SimulatedColumn("skewed", "skewed"),
        SimulatedColumn("five", "categorical", atoms=(0.4, 0.3, 0.15, 0.1, 0.05)),
        SimulatedColumn("nulls", "normal", nulls=0.05),
        SimulatedColumn("normal", "normal"),
        SimulatedColumn("zeros", "zeros"),
        SimulatedColumn("discrete", "discrete", atoms=counts),
        SimulatedColumn("forty", "categorical", atoms=forty),
        SimulatedColumn("skewed nulls", "skewed", nulls=0.3),
        SimulatedColumn("normal", "normal"),
    ]
    unnamed = sorted((sorts[index % len(sorts)] for index in range(number)), key=lambda column: column.name)
    return tuple(
        replace(column, name=f"{name} {rank}")
        for name, same in groupby(unnamed, key=lambda column: column.name)
        for rank, column in enumerate(same, 1)
    )
