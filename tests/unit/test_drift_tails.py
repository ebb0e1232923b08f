"""The tail probabilities, against scipy's to nine digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from streaming.drift import tails
from tests.support.drifts import unhurried

DIGITS = 1e-9


@unhurried
@given(st.floats(-38, 38))
def test_the_normal_tail_is_scipys(z: float) -> None:
    assert tails.normal(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=DIGITS)


@unhurried
@given(st.floats(-30, 30), st.floats(1, 200))
def test_students_tail_is_scipys(t: float, degrees: float) -> None:
    assert tails.student(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=DIGITS)


@unhurried
@given(st.floats(0, 1_500), st.integers(1, 300))
def test_the_chi_square_tail_is_scipys(value: float, degrees: int) -> None:
    assert tails.chi_square(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=DIGITS, abs=1e-290)


@unhurried
@given(st.floats(0.01, 1e5), st.floats(-8, 30))
def test_the_gamma_tail_is_scipys_around_its_middle(shape: float, away: float) -> None:
    x = max(shape + away * math.sqrt(shape), 0.0)
    assert tails.gamma_above(shape, x) == pytest.approx(special.gammaincc(shape, x), rel=DIGITS, abs=1e-250)


@unhurried
@given(st.floats(1e-200, 1), st.floats(0.5, 5_000), st.floats(0.5, 5_000))
def test_the_beta_function_is_scipys(x: float, a: float, b: float) -> None:
    assert tails.beta_at_most(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=DIGITS, abs=1e-250)


@unhurried
@given(st.integers(1, 50_000), st.floats(0, 1), st.floats(1e-4, 1 - 1e-4))
def test_the_binomial_tail_is_scipys(trials: int, part: float, chance: float) -> None:
    successes = round(part * trials)
    expected = stats.binom.sf(successes - 1, trials, chance)
    assert tails.binomial(successes, trials, chance) == pytest.approx(expected, rel=DIGITS, abs=1e-250)


@unhurried
@given(st.data())
def test_the_hypergeometric_tail_is_scipys(data: st.DataObject) -> None:
    total = data.draw(st.integers(2, 40_000))
    marked, draws = data.draw(st.integers(0, total)), data.draw(st.integers(1, total))
    middle = draws * marked // total
    successes = data.draw(st.integers(max(middle - 50, 0), middle + 500))
    expected = stats.hypergeom.sf(successes - 1, total, marked, draws)
    # Both sum terms made of logarithms of factorials, of which a few digits are lost.
    assert tails.hypergeometric(successes, draws, marked, total) == pytest.approx(expected, rel=1e-7, abs=1e-200)


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
    found = tails.chi_mean(lambda rest: tails.normal(math.sqrt(max(value - rest, 0.0))), degrees - 1)
    assert found == pytest.approx(chance, rel=0.08)


@pytest.mark.parametrize("degrees", [1, 3, 30])
def test_the_mean_over_a_chi_square_variable_is_its_mean(degrees: int) -> None:
    expected = stats.chi2(degrees).expect(lambda x: math.exp(-x))
    assert tails.chi_mean(lambda x: math.exp(-x), degrees) == pytest.approx(expected, rel=1e-6)


@unhurried
@given(st.floats(0.2, 5))
def test_kolmogorovs_limit_is_scipys(x: float) -> None:
    assert tails.kolmogorov_limit(x) == pytest.approx(special.kolmogorov(x), rel=DIGITS, abs=1e-14)


@pytest.mark.parametrize("size", [10, 50, 1_000])
@pytest.mark.parametrize("chance", [0.2, 0.05, 0.01])
def test_kolmogorovs_p_value_at_a_size_is_within_a_tenth_of_the_exact_one(size: int, chance: float) -> None:
    distance = stats.kstwo.isf(chance, size)
    assert tails.kolmogorov(distance, size) == pytest.approx(chance, rel=0.1)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (tails.normal, lambda p: stats.norm.isf(p / 2)),
        (lambda x: tails.chi_square(x, 12), lambda p: stats.chi2.isf(p, 12)),
        (tails.kolmogorov_limit, special.kolmogi),
    ],
    ids=["normal", "chi-square", "kolmogorov"],
)
@pytest.mark.parametrize("chance", [0.5, 0.01, 1e-5])
def test_the_inverse_is_scipys(
    tail: Callable[[float], float], expected: Callable[[float], float], chance: float
) -> None:
    assert tails.inverse(tail, chance) == pytest.approx(expected(chance), rel=DIGITS)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (tails.binomial(0, 10, 0.2), 1.0),
        (tails.binomial(11, 10, 0.2), 0.0),
        (tails.hypergeometric(0, 3, 2, 9), 1.0),
        (tails.hypergeometric(3, 3, 2, 9), 0.0),
        (tails.gamma_above(3, 0), 1.0),
        (tails.beta_at_most(0, 1, 1), 0.0),
        (tails.beta_at_most(1, 1, 1), 1.0),
        (tails.kolmogorov_limit(0.1), 1.0),
    ],
)
def test_at_the_ends_it_is_certain_or_impossible(found: float, expected: float) -> None:
    assert found == expected
