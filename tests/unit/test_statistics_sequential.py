"""Bounds that hold at every look: as wide as they must be, and hardly wider."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from streaming.statistics.sequential import few_units_width, one_sided_width, two_sided_width

Width = Callable[[float, float, float], float]
WIDTHS = [pytest.param(two_sided_width, id="two-sided"), pytest.param(one_sided_width, id="one-sided")]


@pytest.mark.parametrize(("alpha", "squared"), [(0.05, 7.8), (0.01, 11.3), (0.005, 12.8), (0.001, 16.2)])
def test_a_decision_comes_when_the_squared_mean_is_so_many_variances_of_it(alpha: float, squared: float) -> None:
    assert one_sided_width(squared, alpha, squared) ** 2 == pytest.approx(squared, rel=0.01)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("units", [5, 20, 300])
def test_bounds_are_about_the_narrowest_where_a_decision_is_expected(width: Width, units: int) -> None:
    narrowest = min(width(units, 0.01, units * factor) for factor in np.geomspace(0.1, 10, 50))
    assert width(units, 0.01, units) == pytest.approx(narrowest, rel=0.01)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("units", [1, 10, 1_000, 1_000_000])
def test_looking_always_costs_more_than_looking_once(width: Width, units: int) -> None:
    assert width(units, 0.05, 50) > stats.norm.isf(0.025 if width is two_sided_width else 0.05)


def test_more_confidence_needs_more_room() -> None:
    widths = [one_sided_width(30, alpha, 20) for alpha in (0.1, 0.05, 0.01, 0.001)]
    assert widths == sorted(widths)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_truth_is_ever_outside_at_most_as_often_as_allowed(width: Width, alpha: float) -> None:
    """2,000 walks of known deviation are looked at 1,000 times each. Bounds that fail far less often would be loose."""
    runs, looks = 2_000, 1_000
    sums = np.random.default_rng(5).normal(size=(runs, looks)).cumsum(1)
    bounds = [width(units, alpha, 50) * math.sqrt(units) for units in range(1, looks + 1)]
    walks = np.abs(sums) if width is two_sided_width else sums
    outside = np.count_nonzero((walks > bounds).any(1))
    assert alpha * runs / 10 < outside <= alpha * runs


@pytest.mark.parametrize(("width", "units"), [(2.0, 5), (3.5, 10), (4.0, 100)])
def test_few_units_are_given_the_room_of_students_t(width: float, units: int) -> None:
    assert stats.t.sf(few_units_width(width, units), units - 1) == pytest.approx(stats.norm.sf(width))


def test_of_a_single_unit_nothing_is_known() -> None:
    assert few_units_width(3.0, 1) == math.inf
