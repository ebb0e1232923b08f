"""Tail probabilities and their inverses in plain Python: how likely a statistic is when nothing has moved.

The incomplete gamma and beta functions are computed by their series and continued fractions (Abramowitz and Stegun
6.5.29, 6.5.31 and 26.5.8), the fractions by Lentz's method. Tests hold them against scipy to nine digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count, islice

_EPSILON = 1e-15
_TINY = 1e-300
_TERMS = 10_000
_STEPS = 120


def normal(z: float) -> float:
    """Return the probability that a standard normal is further from zero than ``z``."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def student(t: float, degrees: float) -> float:
    """Return the probability that Student's t is further from zero than ``t``."""
    square = t * t
    if square < 1:
        return 1.0 - beta_at_most(square / (degrees + square), 0.5, degrees / 2)
    return beta_at_most(degrees / (degrees + square), degrees / 2, 0.5)


def chi_square(value: float, degrees: float) -> float:
    """Return the probability that a chi-square variable is at least ``value``."""
    return gamma_above(degrees / 2, value / 2)


def skewed(z: float, skewness: float) -> float:
    """Return the probability that a variable of mean 0, variance 1 and this skewness is above ``z``.

    The law is Pearson's third, a gamma law moved and stretched; without skewness it is the normal.
    """
    if abs(skewness) < 0.01:
        return math.erfc(z / math.sqrt(2.0)) / 2
    shape = 4 / skewness**2
    x = max(shape + math.copysign(z, z * skewness) * math.sqrt(shape), 0.0)
    above = gamma_above(shape, x)
    return above if skewness > 0 else 1.0 - above


def hypergeometric(successes: int, draws: int, marked: int, total: int) -> float:
    """Return the probability of at least ``successes`` marked among ``draws`` from ``total``, none put back."""
    low, high = max(0, draws - (total - marked)), min(draws, marked)
    if successes <= low:
        return 1.0
    if successes > high:
        return 0.0
    term = math.exp(_choices(marked, successes) + _choices(total - marked, draws - successes) - _choices(total, draws))
    terms: list[float] = []
    for k in range(successes, high + 1):
        terms.append(term)
        if not term or term < _EPSILON * terms[0]:
            break
        term *= (marked - k) * (draws - k) / ((k + 1) * (total - marked - draws + k + 1))
    return min(math.fsum(terms), 1.0)


def _choices(of: int, number: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(number + 1) - math.lgamma(of - number + 1)


def chi_mean(tail: Callable[[float], float], degrees: int) -> float:
    """Return the mean of ``tail`` at a chi-square variable; of no degrees, that is at zero.

    Simpson's rule over the variable's root: to a few hundredths where ``tail`` has the edge that Student's has.
    """
    if degrees < 1:
        return tail(0.0)
    highest = math.sqrt(degrees) + 8.0
    step = highest / _STEPS
    constant = (1 - degrees / 2) * math.log(2) - math.lgamma(degrees / 2)
    total = 0.0
    for place in range(_STEPS + 1):
        root = place * step
        density = math.exp(constant + (degrees - 1) * math.log(root) - root * root / 2) if root else _at_zero(degrees)
        total += density * tail(root * root) * (1 if place in (0, _STEPS) else 4 if place % 2 else 2)
    return min(total * step / 3, 1.0)


def _at_zero(degrees: int) -> float:
    return math.sqrt(2 / math.pi) if degrees == 1 else 0.0


def binomial(successes: float, trials: float, chance: float) -> float:
    """Return the probability of at least ``successes``; counts may be fractions, as effective sizes are."""
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    return beta_at_most(chance, successes, trials - successes + 1)


def kolmogorov(distance: float, size: float) -> float:
    """Return the p-value of a Kolmogorov-Smirnov distance at the effective size nm/(n+m).

    Stephens' (1970) correction of the limiting distribution makes it good from a size of about ten.
    """
    return kolmogorov_limit(distance * stephens(size))


def stephens(size: float) -> float:
    """Return what a distance at an effective size is multiplied by to follow Kolmogorov's limiting law."""
    return math.sqrt(size) + 0.12 + 0.11 / math.sqrt(size)


def kolmogorov_limit(x: float) -> float:
    """Return the probability that Kolmogorov's limiting variable is at least ``x``."""
    if x < 0.2:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(max(math.fsum(terms), 0.0), 1.0)


def inverse(tail: Callable[[float], float], chance: float) -> float:
    """Return the value at which the falling ``tail`` comes down to ``chance``, by bisection."""
    low, high = 0.0, 1.0
    while tail(high) > chance and high < 1e12:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if tail(middle) > chance else (low, middle)
    return high


def gamma_above(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x)."""
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return max(1.0 - scale * math.fsum(_series(a, x)), 0.0)
    fraction = _lentz(((-k * (k - a), x + 2 * k + 1 - a) for k in count(1)), x + 1 - a)
    return min(scale / fraction, 1.0)


def _series(a: float, x: float) -> Iterator[float]:
    term = 1 / a
    for k in islice(count(1), _TERMS):
        yield term
        term *= x / (a + k)
        if term < _EPSILON / a:
            return


def beta_at_most(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I(x; a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta_fraction(1 - x, b, a)
    return _beta_fraction(x, a, b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    scale = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta) / a
    return min(scale / _lentz(_beta_terms(x, a, b), 1.0), 1.0)


def _beta_terms(x: float, a: float, b: float) -> Iterator[tuple[float, float]]:
    for m in count():
        yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        k = m + 1
        yield k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k)), 1.0


def _lentz(terms: Iterator[tuple[float, float]], first: float) -> float:
    """Return ``first + a1/(b1 + a2/(b2 + ...))`` for the terms ``(a, b)``."""
    value = first or _TINY
    above, below = value, 0.0
    for a, b in islice(terms, _TERMS):
        below = 1 / (b + a * below or _TINY)
        above = b + a / above or _TINY
        value *= above * below
        if abs(above * below - 1) < _EPSILON:
            break
    return value
