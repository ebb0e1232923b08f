"""Laws that every statistic keeps, whatever the counts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.drift import rules
from streaming.drift.pair import Pair, aligned
from streaming.drift.shifts import mean_shift, value_distance
from streaming.statistics.distances import (
    chi_square,
    hellinger,
    jensen_shannon,
    kolmogorov_smirnov,
    quantile_shift,
    stability_index,
)
from streaming.statistics.normal_scores import normal_scores
from tests.support.drifts import counted, numeric, pair, rows_of, sides, unhurried

Sides = tuple[list[int], list[int]]
Statistic = Callable[[Sequence[int], Sequence[int]], float]

SYMMETRIC = [stability_index, jensen_shannon, hellinger, kolmogorov_smirnov, lambda a, b: chi_square(a, b)[0]]
NAMES = ["psi", "jensen-shannon", "hellinger", "kolmogorov-smirnov", "chi-square"]
each = pytest.mark.parametrize("statistic", SYMMETRIC, ids=NAMES)


@each
@unhurried
@given(sides)
def test_it_does_not_care_which_side_is_which(statistic: Statistic, both: Sides) -> None:
    assert statistic(*both) == pytest.approx(statistic(*reversed(both)), rel=1e-9, abs=1e-12)


@each
@unhurried
@given(rows_of(6), st.integers(1, 5))
def test_it_is_nothing_where_the_shares_are_equal(statistic: Statistic, row: list[int], times: int) -> None:
    # Half a row is added to each bin by the stability index, which is less to the larger side.
    window = row if statistic is stability_index else [times * count for count in row]
    assert statistic(row, window) == pytest.approx(0, abs=1e-7)


@each
@unhurried
@given(sides)
def test_it_is_never_below_zero(statistic: Statistic, both: Sides) -> None:
    assert statistic(*both) >= 0


@pytest.mark.parametrize("statistic", SYMMETRIC[1:4], ids=NAMES[1:4])
@unhurried
@given(sides)
def test_a_distance_is_at_most_one(statistic: Statistic, both: Sides) -> None:
    assert statistic(*both) <= 1 + 1e-12


@pytest.mark.parametrize("statistic", SYMMETRIC[1:4], ids=NAMES[1:4])
def test_a_distance_is_one_without_overlap(statistic: Statistic) -> None:
    assert statistic([7, 3, 0, 0], [0, 0, 0, 9]) == pytest.approx(1)


@unhurried
@given(sides)
def test_chi_square_is_at_most_the_number_of_rows(both: Sides) -> None:
    assert chi_square(*both)[0] <= sum(map(sum, both)) * (1 + 1e-9)


@pytest.mark.parametrize("statistic", SYMMETRIC[1:4], ids=NAMES[1:4])
@unhurried
@given(sides, st.integers(1, 30))
def test_more_rows_in_the_same_shares_are_the_same_distance(statistic: Statistic, both: Sides, times: int) -> None:
    more = [[times * count for count in side] for side in both]
    assert statistic(*more) == pytest.approx(statistic(*both), rel=1e-9, abs=1e-9)


@unhurried
@given(sides, st.integers(1, 30))
def test_chi_square_grows_with_the_rows(both: Sides, times: int) -> None:
    more = [[times * count for count in side] for side in both]
    assert chi_square(*more)[0] == pytest.approx(times * chi_square(*both)[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("statistic", [*SYMMETRIC[:3], SYMMETRIC[4]], ids=[*NAMES[:3], NAMES[4]])
@unhurried
@given(sides, st.randoms(use_true_random=False))
def test_without_an_order_the_order_of_bins_says_nothing(
    statistic: Statistic, both: Sides, chance: random.Random
) -> None:
    places = list(range(len(both[0])))
    chance.shuffle(places)
    shuffled = [[side[position] for position in places] for side in both]
    assert statistic(*shuffled) == pytest.approx(statistic(*both), rel=1e-9, abs=1e-12)


@unhurried
@given(rows_of(6), st.lists(rows_of(6), min_size=1, max_size=4))
def test_the_index_that_the_benchmark_compares_with_is_this_one(reference: list[int], windows: list[list[int]]) -> None:
    expected = [stability_index(reference, window) for window in windows]
    assert rules.stability_index(np.array(reference), np.array(windows)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@unhurried
@given(rows_of(6), rows_of(6))
def test_joining_two_bins_never_makes_the_distance_larger(reference: list[int], window: list[int]) -> None:
    joined = [[side[0] + side[1], *side[2:]] for side in (reference, window)]
    for statistic in (jensen_shannon, hellinger, kolmogorov_smirnov, SYMMETRIC[-1]):
        assert statistic(*joined) <= statistic(reference, window) + 1e-7


@unhurried
@given(rows_of(8, 60), rows_of(8, 60), st.randoms(use_true_random=False), st.integers(1, 20))
def test_counts_know_neither_the_order_of_rows_nor_their_batches(
    reference: list[int], window: list[int], chance: random.Random, batches: int
) -> None:
    profile = numeric(reference)
    whole = pair(profile, window)
    rows = [position for position, count in counted(window).items() for _ in range(count)]
    chance.shuffle(rows)
    merged: dict[int, int] = {}
    for first in range(batches):
        for position in rows[first::batches]:
            merged[position] = merged.get(position, 0) + 1
    assert Pair.of(profile, merged) == whole


def test_a_bin_that_the_profile_does_not_have_holds_unknown_values() -> None:
    assert aligned(numeric([1, 1, 0, 0, 0]), {0: 3, 1: 2, 7: 4, 255: 1}) == (3, 2, 0, 0, 5)


@unhurried
@given(rows_of(7), rows_of(7))
def test_the_mean_moves_at_most_as_far_as_the_values(reference: list[int], window: list[int]) -> None:
    one = pair(numeric([*reference, 0, 0, 0]), [*window, 0, 0, 0])
    moved, shift = value_distance(one), mean_shift(one)
    if one.profile.spread == 0:
        assert moved is None
        assert shift is None
        return
    assert moved is not None
    assert shift is not None
    assert abs(shift) <= moved + 1e-9


@pytest.mark.parametrize(
    ("centre", "spread"), [(1e308, 5e-324), (math.inf, 1.0), (math.inf, math.inf), (1e308, math.nan)]
)
def test_values_beyond_all_numbers_have_no_distance(centre: float, spread: float) -> None:
    ordinary = numeric([1, 1, 0, 0, 0])
    profile = replace(ordinary, centres=(-centre, *ordinary.centres[1:-1], centre), spread=spread)
    extreme = pair(profile, [0, 1, 0, 0, 0])
    assert (value_distance(extreme), mean_shift(extreme)) == (None, None)


@unhurried
@given(rows_of(7), rows_of(7), st.floats(0.05, 0.95))
def test_a_quantile_moves_within_the_ranks(reference: list[int], window: list[int], chance: float) -> None:
    shift = quantile_shift(reference, window, chance)
    assert shift is not None
    assert -chance - 1e-9 <= shift <= 1 - chance + 1e-9


@pytest.mark.parametrize(
    ("window", "chance", "expected"),
    [
        ([10, 10, 10, 10], 0.5, 0.0),
        ([0, 0, 20, 20], 0.5, 0.25),
        ([20, 20, 0, 0], 0.5, -0.25),
        ([0, 0, 0, 40], 0.9, 0.075),
        ([40, 0, 0, 0], 0.9, -0.675),
    ],
)
def test_a_quantile_is_where_the_reference_had_another(window: list[int], chance: float, expected: float) -> None:
    assert quantile_shift([10, 10, 10, 10], window, chance) == pytest.approx(expected)


def test_what_needs_values_has_none_without_them() -> None:
    assert quantile_shift([5, 5], [0, 0], 0.5) is None
    assert quantile_shift([0, 0], [5, 5], 0.5) is None


@unhurried
@given(rows_of(9))
def test_normal_scores_rise_and_are_centred(reference: list[int]) -> None:
    scores = normal_scores(reference)
    assert all(a <= b + 1e-9 for a, b in pairwise(scores))
    total = sum(reference)
    assert math.fsum(r * s for r, s in zip(reference, scores, strict=True)) / total == pytest.approx(0, abs=1e-9)
    assert math.fsum(r * s * s for r, s in zip(reference, scores, strict=True)) / total <= 1 + 1e-9
