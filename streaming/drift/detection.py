"""Detection of one column's movement: several tests, each for another kind of movement, and the p-value of the best.

- ``level``: the mean normal score of a numeric column, against a value that has risen or fallen as a whole;
- ``shape``: Pearson's chi-square over the bins, against any other change, rare bins pooled;
- ``nulls``, ``non_finite`` and ``unseen``: the rate of each special cell, by its exact hypergeometric tail;
- ``beyond``: the rows below, and those above, all of the reference's values, in the same way.

A single test for everything, such as a stability index, spreads its power over all ways in which a distribution could
change; most change by a shift, and ``level`` alone looks there. The column's p-value is Bonferroni's: the smallest
times the number of tests, which holds however they depend on each other.

The laws are those of dealing the rows of both sides out anew, of which the normal and the chi-square are the limits:
far out in the tail, where one of many columns is judged, the third moment of the one and the variance of the other
still count at thousands of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from streaming.drift.dispersion import NONE, Dispersion, Dispersions
from streaming.drift.pair import SPECIAL, Pair
from streaming.statistics import tails
from streaming.statistics.arrays import Floats
from streaming.statistics.distances import chi_square, chi_square_moments
from streaming.statistics.normal_scores import normal_scores
from streaming.statistics.shares import inverse_size, shares

EXPECTED = 10.0
"""A cell in which the window would have fewer rows than this is pooled with others: the chi-square law needs them."""

CAUTION = 2.0
"""A column's p-value is raised by this much, for what the laws leave out and for scatter that was not learnt."""
_UNLIKELY = 0.01
_LITTLE = 0.01
"""A smaller share of the scatter that is learnt from windows is left out: the rest is chance, whose law is known."""


@dataclass(frozen=True)
class Finding:
    """One test's p-value, and which way the window went: 1 up or more, -1 down or fewer, 0 where there is no way."""

    test: str
    p_value: float
    direction: int = 0


@dataclass(frozen=True)
class Detection:
    """The column's p-value, of all its tests together, and the finding that made it."""

    p_value: float
    finding: Finding


NOTHING = Detection(1.0, Finding("none", 1.0))


def detect(pair: Pair, dispersions: Dispersions) -> Detection:
    """Return how likely so large a difference is when nothing has moved."""
    findings = [
        *_level(pair, dispersions.level),
        *_shape(pair, dispersions.shape),
        *_special(pair, dispersions),
        *_beyond(pair),
    ]
    if not findings:
        return NOTHING
    # The smallest p-value times the number of tests is Bonferroni's correction.
    best = min(findings, key=lambda finding: finding.p_value)
    return Detection(min(1.0, best.p_value * len(findings) * CAUTION), best)


def level_shift(pair: Pair) -> float:
    """Return how far the window's mean normal score is above the reference's, in the reference's standard deviations.

    For a shifted normal it is the shift, less what bins hide.
    """
    before, now = pair.values
    scores = normal_scores(before)
    mean, variance, _ = _moments(before, scores)
    return (_mean(now, scores) - mean) / math.sqrt(variance) if variance > 0 else 0.0


def _mean(counts: ArrayLike, scores: Floats) -> float:
    return float(shares(counts) @ scores)


def _moments(counts: ArrayLike, scores: Floats) -> tuple[float, float, float]:
    """Return the scores' mean, variance and skewness."""
    weights = shares(counts)
    mean = float(weights @ scores)
    deviations = scores - mean
    variance, third = float(weights @ deviations**2), float(weights @ deviations**3)
    return mean, variance, third / variance**1.5 if variance > 0 else 0.0


def _level(pair: Pair, dispersion: Dispersion) -> Iterator[Finding]:
    before, now = pair.values
    n, m = sum(before), sum(now)
    if not pair.ordered or not n or not m:
        return
    scores = normal_scores(before)
    _, variance, skewness = _moments(np.add(before, now), scores)
    if variance <= 0:
        return
    shift = _mean(now, scores) - _mean(before, scores)
    z = shift / math.sqrt(variance * dispersion.scatter(n, m))
    way = (shift > 0) - (shift < 0)
    learnt = dispersion.learnt(n, m)
    if learnt > _LITTLE:
        yield Finding("level", tails.student(z, dispersion.degrees(learnt)), way)
        return
    skewness *= (n - m) / math.sqrt(n * m * (n + m))
    yield Finding("level", min(1.0, 2 * tails.skewed(abs(z), math.copysign(skewness, skewness * z))), way)


def _shape(pair: Pair, dispersion: Dispersion) -> Iterator[Finding]:
    sides = pooled(pair)
    value, bins = chi_square(*sides)
    if not bins:
        return
    if dispersion.learnt(pair.n, pair.m) > _LITTLE:
        yield Finding("shape", _scattered(value * inverse_size(pair.n, pair.m), bins, pair, dispersion.whole))
        return
    mean, variance = chi_square_moments(*sides)
    yield Finding("shape", tails.gamma(value, mean, variance))


def _scattered(distance: float, bins: int, pair: Pair, dispersion: Dispersion) -> float:
    """Return the tail of the squared distance where, beside chance in every direction, windows scatter in one.

    Nobody knows the directions. Of all sums of squares of normals with the same mean, one with a single square goes
    furthest out (Szekely and Bakirov 2003), so this is the law if all that was learnt lies in one direction.
    """
    chance, scatter = inverse_size(pair.n, pair.m), dispersion.scatter(pair.n, pair.m)
    degrees = dispersion.degrees(dispersion.learnt(pair.n, pair.m))

    def tail(others: float) -> float:
        return tails.student(math.sqrt(max(distance - chance * others, 0.0) / scatter), degrees)

    return tails.chi_mean(tail, bins - 1) if tail(0.0) < _UNLIKELY else tail(0.0)


def pooled(pair: Pair) -> tuple[list[int], list[int]]:
    """Return the counts with rare cells pooled: neighbours where bins have an order, else all rare ones."""
    least = EXPECTED * (pair.n + pair.m) / min(pair.n, pair.m)
    cells = list(zip(pair.reference, pair.window, strict=True))
    ordered, loose = (cells[:-SPECIAL], cells[-SPECIAL:]) if pair.ordered else ([], cells)
    groups, scattered_rest = _neighbours(ordered, least)
    rare = [scattered_rest, *(cell for cell in loose if sum(cell) < least)]
    groups += [cell for cell in loose if sum(cell) >= least]
    pool = _together(rare)
    if sum(pool) >= least or not groups:
        groups.append(pool)
    elif sum(pool):
        smallest = min(range(len(groups)), key=lambda index: sum(groups[index]))
        groups[smallest] = _together([groups[smallest], pool])
    return [before for before, _ in groups], [now for _, now in groups]


def _neighbours(cells: Sequence[tuple[int, int]], least: float) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return groups of neighbours, and what is left if even all of them together are too few."""
    groups: list[tuple[int, int]] = []
    running = (0, 0)
    for cell in cells:
        running = _together([running, cell])
        if sum(running) >= least:
            groups.append(running)
            running = (0, 0)
    if groups:
        groups.append(_together([groups.pop(), running]))
        running = (0, 0)
    return groups, running


def _together(cells: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(before for before, _ in cells), sum(now for _, now in cells)


def _special(pair: Pair, dispersions: Dispersions) -> Iterator[Finding]:
    names = zip(("nulls", "non_finite", "unseen"), range(-SPECIAL, 0), dispersions.special, strict=True)
    for name, cell, dispersion in names:
        before, now = pair.reference[cell], pair.window[cell]
        if before + now:
            yield _rate(name, (before, pair.n), (now, pair.m), dispersion)


def _beyond(pair: Pair) -> Iterator[Finding]:
    """Look at the outermost bins, if the reference has nothing in them.

    What one window's rows have in common says nothing here: the reference never had such values, in no window.
    """
    if not pair.ordered or len(pair.values[0]) < 2:
        return
    for cell, way in ((0, -1), (-1, 1)):
        before, now = pair.values[0][cell], pair.values[1][cell]
        if not before and now:
            finding = _rate("beyond", (before, pair.n), (now, pair.m), NONE)
            yield Finding("beyond", finding.p_value, way)


def _rate(name: str, reference: tuple[int, int], window: tuple[int, int], dispersion: Dispersion) -> Finding:
    """Compare two rates, given how many rows of both sides have the property: which of them are the window's?"""
    (before, n), (now, m) = reference, window
    higher = now / m > before / n
    learnt = dispersion.learnt(n, m)
    if learnt <= _LITTLE:
        hits, drawn = (now, m) if higher else (before, n)
        one_sided = tails.hypergeometric(hits, drawn, before + now, n + m)
        return Finding(name, min(1.0, 2 * one_sided), 1 if higher else -1)
    scatter = dispersion.scatter(n, m)
    # The arcsine makes a share's scatter the same wherever it is, and its law more even.
    z = 2 * (math.asin(math.sqrt(now / m)) - math.asin(math.sqrt(before / n))) / math.sqrt(scatter)
    p_value = tails.student(z, dispersion.degrees(learnt))
    if p_value < _UNLIKELY:
        # Rare rows would say too much: windows differ by more than chance, so their counts are worth fewer rows.
        worth = inverse_size(n, m) / scatter
        r, w, total = before * worth, now * worth, (before + now) * worth
        one_sided = tails.binomial(w, total, m / (n + m)) if higher else tails.binomial(r, total, n / (n + m))
        p_value = max(p_value, 2 * one_sided)
    return Finding(name, min(1.0, p_value), 1 if higher else -1)
