"""How differently two sides are distributed on the same events: scores in common bins, and predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streaming.backtest.answers import AnswerKind, Answers
from streaming.statistics.arrays import Floats
from streaming.statistics.binning import counts_by_decile, counts_by_value
from streaming.statistics.distances import jensen_shannon, kolmogorov_smirnov, stability_index

BINS = 40
JOINT_BINS = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TAIL = 0.005
"""The outermost bins take this share of predicted numbers. Otherwise one outlier would empty all other bins."""


@dataclass(frozen=True)
class Distribution:
    """One side's scores: events in each bin, and what is said of the scores as they are."""

    counts: tuple[int, ...]
    mean: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Shift:
    """Both sides' scores in common bins of ``edges``.

    ``joint`` counts events by recorded score (outer) and the candidate's (inner), in :data:`JOINT_BINS` bins of equal
    width between the same ends.

    ``ks`` is the largest difference of the shares at or below any score, ``psi`` the population stability index over
    the recorded deciles, ``jensen_shannon`` the distance (base 2, 0 to 1) over the bins.
    """

    what: str
    edges: tuple[float, ...]
    recorded: Distribution
    candidate: Distribution
    joint: tuple[tuple[int, ...], ...]
    ks: float
    psi: float
    jensen_shannon: float
    correlation: float


def score_name(answers: Answers) -> str:
    """Return what a score is here, in words."""
    if answers.kind is AnswerKind.NUMBERS:
        return "prediction"
    if answers.kind is AnswerKind.TWO_CLASSES:
        return f"probability of “{answers.classes[answers.positive]}”"
    return "probability of the predicted class"


def shift(what: str, recorded: Floats, candidate: Floats) -> Shift:
    """Describe both sides' scores; there is at least one event."""
    edges = _edges(recorded, candidate)
    low, high = edges[0], edges[-1]
    sides = [np.clip(side, low, high) for side in (recorded, candidate)]
    counts = [np.histogram(side, edges)[0] for side in sides]
    joint = np.histogram2d(sides[0], sides[1], np.linspace(low, high, JOINT_BINS + 1))[0].astype(int)
    first, second = (
        Distribution(tuple(map(int, count)), float(side.mean()), tuple(map(float, np.quantile(side, QUANTILES))))
        for count, side in zip(counts, (recorded, candidate), strict=True)
    )
    return Shift(
        what=what,
        edges=tuple(map(float, edges)),
        recorded=first,
        candidate=second,
        joint=tuple(tuple(map(int, row)) for row in joint),
        ks=kolmogorov_smirnov(*counts_by_value(recorded, candidate)),
        psi=stability_index(*counts_by_decile(recorded, candidate)),
        jensen_shannon=jensen_shannon(*counts),
        correlation=_correlation(recorded, candidate),
    )


def _edges(recorded: Floats, candidate: Floats) -> Floats:
    both = np.concatenate([recorded, candidate])
    if both.min() >= 0 and both.max() <= 1:
        return np.linspace(0.0, 1.0, BINS + 1)
    low, high = np.quantile(both, [_TAIL, 1 - _TAIL])
    # All scores are one value, and bins need a width.
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _correlation(first: Floats, second: Floats) -> float:
    # numpy would return the same, with a warning.
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
