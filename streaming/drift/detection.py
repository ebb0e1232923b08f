"""Whether one column has moved: a few tests that each look for another kind of movement, and the chance of the best.

- ``level``: the mean normal score of a numeric column, against a value that has risen or fallen as a whole;
- ``shape``: Pearson's chi-square over the bins, against any other change, rare bins pooled;
- ``nulls``, ``non_finite`` and ``unseen``: the rate of each special cell, by its exact binomial tail.

A single test for everything, such as a stability index, spreads its power over all ways in which a distribution could
change; most change by a shift, and ``level`` alone looks there. The column's p-value is Bonferroni's: the smallest
times the number of tests, which holds however they depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streaming.drift import tails
from streaming.drift.dispersion import Dispersion, Dispersions
from streaming.drift.pair import SPECIAL, Pair, inverse_size, shares
from streaming.drift.scores import normal_scores
from streaming.drift.statistics import chi_square

EXPECTED = 10.0
"""A cell in which the window would have fewer rows than this is pooled with others: the chi-square law needs them."""


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


def detect(pair: Pair, known: Dispersions) -> Detection:
    """Return how likely so large a difference is when nothing has moved."""
    findings = [*_level(pair, known.level), *_shape(pair, known.shape), *_special(pair, known)]
    if not findings:
        return NOTHING
    best = min(findings, key=lambda finding: finding.p_value)
    return Detection(min(1.0, best.p_value * len(findings)), best)


def level_shift(pair: Pair) -> float:
    """Return how far the window's mean normal score is above the reference's, in the reference's standard deviations.

    For a shifted normal it is the shift, less what bins hide.
    """
    mean, variance, moved = _moments(pair)
    return (moved - mean) / math.sqrt(variance) if variance > 0 else 0.0


def _moments(pair: Pair) -> tuple[float, float, float]:
    before, now = pair.values
    scores = normal_scores(before)
    mean, moved = (math.fsum(p * s for p, s in zip(shares(side), scores, strict=True)) for side in (before, now))
    variance = math.fsum(p * (s - mean) ** 2 for p, s in zip(shares(before), scores, strict=True))
    return mean, variance, moved


def _level(pair: Pair, known: Dispersion) -> Iterator[Finding]:
    n, m = map(sum, pair.values)
    if not pair.ordered or not n or not m:
        return
    shift = level_shift(pair)
    z = shift / math.sqrt(known.scatter(n, m))
    p_value = tails.student(z, known.windows - 1) if known.extra else tails.normal(z)
    yield Finding("level", p_value, (shift > 0) - (shift < 0))


def _shape(pair: Pair, known: Dispersion) -> Iterator[Finding]:
    value, bins = chi_square(*pooled(pair))
    if not bins:
        return
    if not known.extra:
        yield Finding("shape", tails.chi_square(value, bins))
        return
    scattered = value * inverse_size(pair.n, pair.m) / known.scatter(pair.n, pair.m)
    degrees = min(known.degrees, bins)
    # An F law, as the scatter itself is learnt from few windows: its tail by the beta function it is made of.
    rest = degrees * (known.windows - 1)
    x = scattered / bins * degrees
    yield Finding("shape", tails.beta_at_most(rest / (rest + x), rest / 2, degrees / 2))


def pooled(pair: Pair) -> tuple[list[int], list[int]]:
    """Return the counts with rare cells pooled: neighbours where bins have an order, else all rare ones."""
    least = EXPECTED * (pair.n + pair.m) / min(pair.n, pair.m)
    cells = list(zip(pair.reference, pair.window, strict=True))
    ordered, loose = (cells[:-SPECIAL], cells[-SPECIAL:]) if pair.ordered else ([], cells)
    groups = _neighbours(ordered, least)
    rare = [cell for cell in loose if sum(cell) < least]
    groups += [cell for cell in loose if sum(cell) >= least]
    rest = _together(rare)
    if sum(rest) >= least or not groups:
        groups.append(rest)
    elif sum(rest):
        smallest = min(range(len(groups)), key=lambda place: sum(groups[place]))
        groups[smallest] = _together([groups[smallest], rest])
    return [before for before, _ in groups], [now for _, now in groups]


def _neighbours(cells: Sequence[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    groups: list[tuple[int, int]] = []
    running = (0, 0)
    for cell in cells:
        running = _together([running, cell])
        if sum(running) >= least:
            groups.append(running)
            running = (0, 0)
    if sum(running):
        groups.append(_together([groups.pop(), running]) if groups else running)
    return groups


def _together(cells: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(before for before, _ in cells), sum(now for _, now in cells)


def _special(pair: Pair, known: Dispersions) -> Iterator[Finding]:
    names = zip(("nulls", "non_finite", "unseen"), range(-SPECIAL, 0), known.special, strict=True)
    for name, place, dispersion in names:
        before, now = pair.reference[place], pair.window[place]
        if before + now:
            yield _rate(name, (before, pair.n), (now, pair.m), dispersion)


def _rate(name: str, reference: tuple[int, int], window: tuple[int, int], known: Dispersion) -> Finding:
    """Compare two rates, given how many rows of both sides have the property: which of them are the window's?"""
    (before, n), (now, m) = reference, window
    higher = now / m > before / n
    # Where windows differ by more than chance, the counts are worth fewer rows than they are.
    worth = inverse_size(n, m) / known.scatter(n, m)
    r, w, total = before * worth, now * worth, (before + now) * worth
    one_sided = tails.binomial(w, total, m / (n + m)) if higher else tails.binomial(r, total, n / (n + m))
    return Finding(name, min(1.0, 2 * one_sided), 1 if higher else -1)
