"""Tail probabilities, which say how likely a statistic is when nothing has moved, and their critical values.

The laws are scipy's. ``scipy.special`` has all but one of them, and loads in a third of the time of ``scipy.stats``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

_STEPS = 120
_SYMMETRIC = 0.01
"""A smaller skewness is none."""


def normal(z: float) -> float:
    """Return the probability that a standard normal is further from zero than ``z``."""
    return float(2 * special.ndtr(-abs(z)))


def normal_critical(chance: float) -> float:
    """Return the distance from zero that a standard normal exceeds with probability ``chance``."""
    return float(-special.ndtri(chance / 2))


def student(t: float, degrees: float) -> float:
    """Return the probability that Student's t is further from zero than ``t``."""
    return float(2 * special.stdtr(degrees, -abs(t)))


def student_critical(chance: float, degrees: float) -> float:
    """Return the distance from zero that Student's t exceeds with probability ``chance``."""
    return float(-special.stdtrit(degrees, chance / 2))


def chi_square(value: float, degrees: float) -> float:
    """Return the probability that a chi-square variable is at least ``value``."""
    return float(special.chdtrc(degrees, value))


def chi_square_critical(chance: float, degrees: float) -> float:
    """Return the value that a chi-square variable exceeds with probability ``chance``."""
    return float(special.chdtri(degrees, chance))


def gamma(value: float, mean: float, variance: float) -> float:
    """Return the probability that a gamma variable of this mean and variance is at least ``value``."""
    return float(special.gammaincc(mean**2 / variance, max(value, 0.0) * mean / variance))


def skewed(z: float, skewness: float) -> float:
    """Return the probability that a variable of mean 0, variance 1 and this skewness is above ``z``.

    The law is Pearson's third, a gamma law moved and stretched; without skewness it is the normal.
    """
    if abs(skewness) < _SYMMETRIC:
        return float(special.ndtr(-z))
    shape = 4 / skewness**2
    x = max(shape + math.copysign(z, z * skewness) * math.sqrt(shape), 0.0)
    return float(special.gammaincc(shape, x) if skewness > 0 else special.gammainc(shape, x))


def hypergeometric(successes: int, draws: int, marked: int, total: int) -> float:
    """Return the probability of at least ``successes`` marked among ``draws`` from ``total``, none put back."""
    # Imported here because it takes a second and 50 MB, and only rates need it.
    from scipy.stats import hypergeom

    return float(hypergeom.sf(successes - 1, total, marked, draws))


def binomial(successes: float, trials: float, chance: float) -> float:
    """Return the probability of at least ``successes``; counts may be fractions, as effective sizes are."""
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    return float(special.betainc(successes, trials - successes + 1, chance))


def kolmogorov(distance: float, size: float) -> float:
    """Return the p-value of a Kolmogorov-Smirnov distance at the effective size nm/(n+m).

    Stephens' (1970) correction of the limiting distribution makes it good from a size of about ten.
    """
    return float(special.kolmogorov(distance * _stephens(size)))


def kolmogorov_critical(chance: float, size: float) -> float:
    """Return the Kolmogorov-Smirnov distance that is exceeded with probability ``chance`` at an effective size."""
    return float(special.kolmogi(chance)) / _stephens(size)


def _stephens(size: float) -> float:
    """Return what a distance at an effective size is multiplied by to follow Kolmogorov's limiting law."""
    return math.sqrt(size) + 0.12 + 0.11 / math.sqrt(size)


def chi_mean(tail: Callable[[float], float], degrees: int) -> float:
    """Return the mean of ``tail`` at a chi-square variable; without degrees of freedom that is ``tail(0)``.

    Simpson's rule over the variable's root: to a few hundredths where ``tail`` has the edge that Student's has.
    """
    if degrees < 1:
        return tail(0.0)
    roots, step = np.linspace(0.0, math.sqrt(degrees) + 8.0, _STEPS + 1, retstep=True)
    constant = (1 - degrees / 2) * math.log(2) - special.gammaln(degrees / 2)
    density = np.exp(constant + special.xlogy(degrees - 1, roots) - roots**2 / 2)
    weights = np.where(np.arange(_STEPS + 1) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1.0
    values = np.array([tail(root * root) for root in roots.tolist()])
    return min(float(weights @ (density * values)) * float(step) / 3, 1.0)
