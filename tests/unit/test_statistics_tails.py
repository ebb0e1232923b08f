"""The tail probabilities and critical values, against scipy.stats, exact sums and each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from streaming.statistics import tails
from tests.support.drifts import unhurried

DIGITS = 1e-9


@unhurried
@given(st.floats(-38, 38))
def test_the_normal_tail_is_on_both_sides(z: float) -> None:
    assert tails.normal(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=DIGITS)


@unhurried
@given(st.floats(-30, 30), st.floats(1, 200))
def test_students_tail_is_on_both_sides(t: float, degrees: float) -> None:
    assert tails.student(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=DIGITS)


@unhurried
@given(st.floats(0, 1_500), st.integers(1, 300))
def test_the_chi_square_tail_is_above_the_value(value: float, degrees: int) -> None:
    assert tails.chi_square(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=DIGITS, abs=1e-290)


@unhurried
@given(st.floats(0.01, 1e5), st.floats(-8, 30), st.floats(1e-3, 1e3))
def test_the_gamma_tail_has_the_mean_and_the_variance(shape: float, away: float, scale: float) -> None:
    value = max(shape + away * math.sqrt(shape), 0.0) * scale
    expected = stats.gamma.sf(value, shape, scale=scale)
    assert tails.gamma(value, shape * scale, shape * scale**2) == pytest.approx(expected, rel=1e-8, abs=1e-250)


@unhurried
@given(st.integers(1, 50_000), st.floats(0, 1), st.floats(1e-4, 1 - 1e-4))
def test_the_binomial_tail_is_scipys(trials: int, part: float, chance: float) -> None:
    successes = round(part * trials)
    expected = stats.binom.sf(successes - 1, trials, chance)
    assert tails.binomial(successes, trials, chance) == pytest.approx(expected, rel=DIGITS, abs=1e-250)


@unhurried
@given(st.floats(1, 5_000), st.floats(0, 1), st.floats(1e-4, 1 - 1e-4))
def test_the_binomial_tail_of_fractions_is_between_those_of_whole_numbers(
    trials: float, part: float, chance: float
) -> None:
    successes = part * trials
    fewer, more = (tails.binomial(side, trials, chance) for side in (successes + 1, max(successes - 1, 0.0)))
    assert fewer * (1 - DIGITS) <= tails.binomial(successes, trials, chance) <= more * (1 + DIGITS)


@unhurried
@given(st.data())
def test_the_hypergeometric_tail_is_the_exact_sum(data: st.DataObject) -> None:
    total = data.draw(st.integers(2, 600))
    marked, draws = data.draw(st.integers(0, total)), data.draw(st.integers(1, total))
    successes = data.draw(st.integers(0, draws + 1))
    ways = sum(
        math.comb(marked, count) * math.comb(total - marked, draws - count) for count in range(successes, draws + 1)
    )
    expected = float(Fraction(ways, math.comb(total, draws)))
    assert tails.hypergeometric(successes, draws, marked, total) == pytest.approx(expected, rel=1e-8, abs=1e-250)


@unhurried
@given(st.integers(1, 2_000), st.integers(1, 100), st.integers(0, 40))
def test_of_many_more_rows_than_are_drawn_it_makes_no_difference_that_none_is_put_back(
    draws: int, odds: int, successes: int
) -> None:
    """The tail then is the binomial's."""
    total = draws * 10**7
    marked = total // (odds + 1)
    expected = stats.binom.sf(successes - 1, draws, marked / total)
    assert tails.hypergeometric(successes, draws, marked, total) == pytest.approx(expected, rel=1e-3, abs=1e-200)


@unhurried
@given(st.floats(-4, 12), st.floats(-1, 1).filter(lambda skewness: abs(skewness) >= 0.01))
def test_the_skewed_tail_is_scipys(z: float, skewness: float) -> None:
    expected = stats.pearson3.sf(z, skewness)
    assert tails.skewed(z, skewness) == pytest.approx(expected, rel=DIGITS, abs=1e-11)


@pytest.mark.parametrize("skewness", [-0.0099, 0.0, 0.0099])
def test_with_next_to_no_skewness_the_skewed_tail_is_the_normal(skewness: float) -> None:
    for z in (-3.0, 0.0, 2.0, 4.0):
        assert tails.skewed(z, skewness) == pytest.approx(stats.pearson3.sf(z, skewness), rel=0.15)


@pytest.mark.parametrize("degrees", [1, 2, 5, 12, 40])
@pytest.mark.parametrize("chance", [0.1, 1e-4, 1e-8])
def test_a_square_beside_the_other_squares_is_chi_square(degrees: int, chance: float) -> None:
    value = stats.chi2.isf(chance, degrees)
    result = tails.chi_mean(lambda rest: tails.normal(math.sqrt(max(value - rest, 0.0))), degrees - 1)
    assert result == pytest.approx(chance, rel=0.08)


@pytest.mark.parametrize("degrees", [1, 3, 30])
def test_the_mean_over_a_chi_square_variable_is_its_mean(degrees: int) -> None:
    expected = stats.chi2(degrees).expect(lambda x: math.exp(-x))
    assert tails.chi_mean(lambda x: math.exp(-x), degrees) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [10, 50, 1_000])
@pytest.mark.parametrize("chance", [0.2, 0.05, 0.01])
def test_kolmogorovs_p_value_at_a_size_is_within_a_tenth_of_the_exact_one(size: int, chance: float) -> None:
    distance = stats.kstwo.isf(chance, size)
    assert tails.kolmogorov(distance, size) == pytest.approx(chance, rel=0.1)


@unhurried
@given(st.floats(0.2, 5))
def test_of_endless_rows_kolmogorovs_p_value_is_that_of_the_limit(x: float) -> None:
    size = 1e16
    assert tails.kolmogorov(x / math.sqrt(size), size) == pytest.approx(special.kolmogorov(x), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize(
    ("tail", "critical"),
    [
        pytest.param(tails.normal, tails.normal_critical, id="normal"),
        pytest.param(lambda t: tails.student(t, 7), lambda p: tails.student_critical(p, 7), id="student"),
        pytest.param(lambda x: tails.chi_square(x, 12), lambda p: tails.chi_square_critical(p, 12), id="chi-square"),
        pytest.param(lambda x: tails.chi_square(x, 3.6), lambda p: tails.chi_square_critical(p, 3.6), id="fractional"),
        pytest.param(lambda d: tails.kolmogorov(d, 90), lambda p: tails.kolmogorov_critical(p, 90), id="kolmogorov"),
    ],
)
@pytest.mark.parametrize("chance", [0.5, 0.01, 1e-5, 1e-9])
def test_a_critical_value_is_exceeded_with_its_chance(
    tail: Callable[[float], float], critical: Callable[[float], float], chance: float
) -> None:
    assert tail(critical(chance)) == pytest.approx(chance, rel=1e-8)


@pytest.mark.parametrize(
    ("critical", "expected"),
    [
        pytest.param(tails.normal_critical, lambda p: stats.norm.isf(p / 2), id="normal"),
        pytest.param(lambda p: tails.student_critical(p, 7), lambda p: stats.t.isf(p / 2, 7), id="student"),
        pytest.param(lambda p: tails.chi_square_critical(p, 12), lambda p: stats.chi2.isf(p, 12), id="chi-square"),
    ],
)
@pytest.mark.parametrize("chance", [0.5, 0.01, 1e-5])
def test_a_critical_value_is_scipys(
    critical: Callable[[float], float], expected: Callable[[float], float], chance: float
) -> None:
    assert critical(chance) == pytest.approx(expected(chance), rel=DIGITS)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        pytest.param(tails.binomial(0, 10, 0.2), 1.0, id="none or more"),
        pytest.param(tails.binomial(11, 10, 0.2), 0.0, id="more than there are trials"),
        pytest.param(tails.hypergeometric(0, 3, 2, 9), 1.0, id="none or more drawn"),
        pytest.param(tails.hypergeometric(3, 3, 2, 9), 0.0, id="more drawn than are marked"),
        pytest.param(tails.gamma(0, 3, 3), 1.0, id="gamma above zero"),
        pytest.param(tails.gamma(-1, 3, 3), 1.0, id="gamma above less than zero"),
        pytest.param(tails.binomial(1, 1, 0), 0.0, id="no chance"),
        pytest.param(tails.binomial(1, 1, 1), 1.0, id="certain"),
        pytest.param(tails.kolmogorov(0.01, 90), 1.0, id="next to no distance"),
    ],
)
def test_at_the_ends_it_is_certain_or_impossible(actual: float, expected: float) -> None:
    assert actual == expected
