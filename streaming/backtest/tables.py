"""What labels tell in detail: confusion tables, what each threshold would do, and whether probabilities come true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streaming.statistics.arrays import Floats, Ints
from streaming.statistics.binning import bins_of, decile_cuts
from streaming.statistics.intervals import Estimate, wilson

Counts = tuple[tuple[int, ...], ...]
Truths = npt.NDArray[np.bool_]

THRESHOLDS = tuple(step / 100 for step in range(101))
_FEWEST_CALLED = 10
"""A share among fewer events is left out of the curve: it would only be noise."""


@dataclass(frozen=True)
class Curve:
    """What calling an event positive from each of :data:`THRESHOLDS` on would have done; NaN where too few were."""

    precision: tuple[float, ...]
    recall: tuple[float, ...]
    called: tuple[float, ...]
    """The share of all events."""


@dataclass(frozen=True)
class CalibrationBin:
    """A tenth of the events, by score: the mean score, and the share that turned out positive."""

    events: int
    score: float
    share: Estimate


def cross_table(rows: Ints, columns: Ints, classes: int) -> Counts:
    """Count events by two classes.

    >>> cross_table(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    ((1, 0), (1, 1))
    """
    cells = np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes)
    return tuple(tuple(map(int, row)) for row in cells)


def curve(score: Floats, true: Truths) -> Curve:
    """Judge every threshold; an event is called positive if its score is at or above it."""
    ones, everyone = np.sort(score[true]), np.sort(score)
    caught = len(ones) - np.searchsorted(ones, THRESHOLDS, side="left")
    called = len(everyone) - np.searchsorted(everyone, THRESHOLDS, side="left")
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(called >= _FEWEST_CALLED, caught / called, np.nan)
        recall = caught / len(ones) if len(ones) else np.full(len(caught), np.nan)
    return Curve(_floats(precision), _floats(recall), _floats(called / max(len(everyone), 1)))


def calibration(score: Floats, true: Truths, confidence: float) -> tuple[CalibrationBin, ...]:
    """Cut the events into tenths by score; equal scores stay together, so there may be fewer."""
    tenth = bins_of(score, decile_cuts(score))
    columns = []
    for number in np.unique(tenth):
        chosen = tenth == number
        share = wilson(int(true[chosen].sum()), int(chosen.sum()), confidence)
        columns.append(CalibrationBin(int(chosen.sum()), float(score[chosen].mean()), share))
    return tuple(columns)


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
