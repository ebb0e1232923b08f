"""Bounds of a mean that hold however often one looks and whenever one stops: asymptotic confidence sequences.

They are those of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, *Time-uniform central limit theory and asymptotic
confidence sequences* (Annals of Statistics 52(6), 2024), two-sided and one-sided, with their choice of rho. The units
must be independent of each other, and events of a day are not: looking at single events of recorded flights called one
of two equal versions worse in more than half of all weeks. So the units have to be days.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize, special

_MOST_UNITS = 1e15
"""A comparison that needs more is none."""


def two_sided_width(units: float, alpha: float, expected: float) -> float:
    """Return how many standard errors a mean may be from the truth on either side.

    Args:
        units: how many independent values the mean is of.
        alpha: the chance that the truth is ever outside, at any of infinitely many looks.
        expected: the number of units at which a decision is expected; there the bounds are about as narrow as can be.
    """
    spread = units * _precision(alpha, expected)
    return math.sqrt(2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha))


def one_sided_width(units: float, alpha: float, expected: float) -> float:
    """Return how many standard errors a mean may be above the truth, or below; arguments as in two_sided_width."""
    spread = units * _precision(2 * alpha, expected)
    return math.sqrt(2 * (spread + 1) / spread * math.log1p(math.sqrt(spread + 1) / (2 * alpha)))


def few_units_width(width: float, units: int) -> float:
    """Widen ``width`` to the distance that Student's t exceeds as rarely as a normal variable exceeds ``width``.

    The bounds are those of many units. With ten to sixty, of a normal law, a test at 0.01 gave 0.012 false alarms
    without this and 0.003 with it.

    >>> round(few_units_width(3.0, 10), 2), round(few_units_width(3.0, 1_000_000), 2)
    (4.09, 3.0)
    """
    if units < 2:
        return math.inf
    return float(-special.stdtrit(units - 1, special.ndtr(-width)))


def units_needed(needed: Callable[[float], float], least: float = 1.0) -> float:
    """Return the least number of units, from ``least`` on, that is as large as what is needed where there are so many.

    Args:
        needed: units that are needed, by the number for which the bounds are made; grows more slowly than that.
        least: is returned where it is enough.

    Raises:
        OverflowError: 1e15 units are not enough.
    """
    if needed(least) <= least:
        return least
    if not needed(_MOST_UNITS) <= _MOST_UNITS:
        raise OverflowError(f"{_MOST_UNITS:g} units are not enough")
    return float(optimize.brentq(lambda units: needed(units) - units, least, _MOST_UNITS, rtol=1e-9))


def _precision(alpha: float, expected: float) -> float:
    """Return rho squared, for which the bounds at ``expected`` units are about as narrow as can be."""
    surprise = -2 * math.log(alpha)
    return (surprise + math.log(surprise + 1)) / expected
