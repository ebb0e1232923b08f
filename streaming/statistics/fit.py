"""How well probabilities and numbers fit what happened, beside the losses: calibration error and explained variance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streaming.statistics.arrays import Floats

CALIBRATION_BINS = 10


def calibration_error(score: Floats, true: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error: how far probabilities are from the shares that came true.

    The probabilities from 0 to 1 are cut into ten bins of equal width, each with its upper end. The distances between a
    bin's mean probability and its share are averaged, weighted by its events (Naeini, Cooper and Hauskrecht 2015; for
    several classes, of the most probable one: Guo and others 2017). NaN without events.

    >>> calibration_error(np.array([0.9, 0.9]), np.array([True, True])).__round__(12)
    0.1
    """
    if not len(score):
        return float("nan")
    cuts = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)[1:-1]
    number = np.searchsorted(cuts, score)
    # The bin's size cancels: |mean score - share| * size / events is |sum of scores - positives| / events.
    apart = np.bincount(number, score - true, CALIBRATION_BINS)
    return float(np.abs(apart).sum() / len(score))


def explained_variance(number: Floats, truth: Floats) -> float:
    """Return R squared: 1 less the squared errors' share of the truth's own scatter; NaN where it has none.

    >>> explained_variance(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    1.0
    """
    scatter = float(np.sum((truth - truth.mean()) ** 2)) if len(truth) else 0.0
    return 1.0 - float(np.sum((truth - number) ** 2)) / scatter if scatter else float("nan")
