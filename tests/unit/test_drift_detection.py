"""Each kind of movement is found by the test that looks for it, and where nothing moved, p-values say so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from scipy import stats

from streaming.drift.detection import NOTHING, Detection, detect, level_shift, pooled
from streaming.drift.dispersion import NONE, Dispersion, Dispersions
from streaming.models.profile import ColumnProfile
from tests.support.drifts import categorical, normal_shares, numeric, pair, rows_of, unhurried

CHANCE = Dispersions(NONE, NONE, (NONE, NONE, NONE))
N = 20_000
STILL = numeric([2_000] * 10 + [0, 0, 0])
FIVE = categorical([8_000, 6_000, 3_000, 2_000, 1_000, 0, 0, 0])


def found(profile: ColumnProfile, window: list[int], known: Dispersions = CHANCE) -> Detection:
    return detect(pair(profile, window), known)


def expected(shares: list[float], rows: int) -> list[int]:
    """Counts as the shares would have them, without chance."""
    return [round(share * rows) for share in shares]


@pytest.mark.parametrize(
    ("profile", "window", "test", "direction"),
    [
        (STILL, expected(normal_shares(shift=0.25), 1_000), "level", 1),
        (STILL, expected(normal_shares(shift=-0.25), 1_000), "level", -1),
        (STILL, [160, 80, 80, 80, 80, 80, 80, 80, 80, 200, 0, 0, 0], "shape", 0),
        (STILL, expected(normal_shares(nulls=0.02), 1_000), "nulls", 1),
        (STILL, [100] * 9 + [85, 0, 15, 0], "non_finite", 1),
        (FIVE, [395, 295, 150, 100, 50, 0, 0, 10], "unseen", 1),
        (FIVE, [400, 300, 80, 170, 50, 0, 0, 0], "shape", 0),
        (numeric([2_700] * 5 + [1_500, 0, 0]), [200] * 5 + [20, 0, 0], "nulls", -1),
        (numeric([0, *[2_000] * 10, 0, 0, 0, 0]), [0, *[100] * 10, 6, 0, 0, 0], "beyond", 1),
    ],
    ids=["rise", "fall", "wider", "nulls", "not finite", "new category", "other mix", "fewer nulls", "above all"],
)
def test_a_movement_is_found_by_the_test_that_looks_for_it(
    profile: ColumnProfile, window: list[int], test: str, direction: int
) -> None:
    detection = found(profile, window)
    assert (detection.finding.test, detection.finding.direction) == (test, direction)
    assert detection.p_value < 1e-3


@pytest.mark.parametrize("shift", [0.1, 0.25, -0.5])
def test_the_level_shift_of_a_normal_is_its_shift(shift: float) -> None:
    one = pair(STILL, expected(normal_shares(shift=shift), 100_000))
    assert level_shift(one) == pytest.approx(shift, rel=0.06)


@unhurried
@given(rows_of(13))
def test_equal_shares_are_no_movement(row: list[int]) -> None:
    assert found(numeric(row), row).p_value == 1


@unhurried
@given(rows_of(9), rows_of(9))
def test_a_p_value_is_at_most_one_and_rows_that_are_alike_never_lower_it(
    reference: list[int], window: list[int]
) -> None:
    plain = found(numeric(reference), window)
    assert 0 <= plain.p_value <= 1
    spread = Dispersion(0.3, 30)
    assert found(numeric(reference), window, Dispersions(spread, spread, (spread,) * 3)).p_value >= min(
        plain.p_value, 0.01
    )


def test_a_column_without_a_row_in_common_with_anything_says_nothing() -> None:
    assert found(categorical([5, 0, 0, 0]), [5, 0, 0, 0]) == NOTHING


@pytest.mark.parametrize(
    ("shares", "ordered"),
    [
        (normal_shares(), True),
        (normal_shares(nulls=0.05, unseen=0.002), True),
        ([0.9, 0.06, 0.03, 0.01, 0, 0, 0], True),
        ([0.4, 0.3, 0.15, 0.1, 0.05, 0, 0, 0], False),
        ([*(np.arange(40, 0, -1) / 820), 0, 0, 0], False),
    ],
    ids=["normal", "nulls", "mostly one value", "five", "forty"],
)
@pytest.mark.parametrize("rows", [500, 5_000])
def test_where_nothing_moved_p_values_are_at_most_uniform(shares: list[float], ordered: bool, rows: int) -> None:
    rng, make = np.random.default_rng(rows), numeric if ordered else categorical
    references, windows = rng.multinomial(8_000, shares, 300), rng.multinomial(rows, shares, 300)
    p_values = [
        found(make(list(map(int, before))), list(map(int, now))).p_value
        for before, now in zip(references, windows, strict=True)
    ]
    # One-sided: more small ones than uniform would be too many alarms.
    assert stats.kstest(p_values, "uniform", alternative="greater").pvalue > 1e-4


def test_the_more_alike_rows_of_windows_are_the_less_is_said() -> None:
    window = expected(normal_shares(shift=0.3, nulls=0.02), 2_000)
    p_values = []
    for r in (0.001, 0.01, 0.1):
        one = Dispersion(r, 30)
        p_values.append(found(STILL, window, Dispersions(one, one, (one,) * 3)).p_value)
    assert p_values == sorted(p_values)
    assert found(STILL, window).p_value < p_values[0]


@unhurried
@given(rows_of(20, 60), rows_of(20, 2_000))
@example([0] * 19 + [11], [0] * 16 + [1, 0, 0, 10])  # Few values, and many unseen.
def test_pooling_loses_no_row_and_leaves_no_bin_too_small(reference: list[int], window: list[int]) -> None:
    for make in (numeric, categorical):
        one = pair(make(reference), window)
        before, now = pooled(one)
        assert (sum(before), sum(now)) == (one.n, one.m)
        if len(before) > 1:
            smaller = min(one.n, one.m) / (one.n + one.m)
            assert min((b + w) * smaller for b, w in zip(before, now, strict=True)) >= 10 - 1e-9
