"""Two samples in common bins, and the distances of samples that follow, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streaming.statistics.arrays import Floats
from streaming.statistics.binning import bins_of, counts_by_decile, counts_by_value, decile_cuts
from streaming.statistics.distances import kolmogorov_smirnov, stability_index
from tests.support.backtests import unhurried

samples = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1), min_size=2, max_size=60).map(np.array)


@unhurried
@given(samples, samples)
def test_kolmogorov_smirnov_of_samples_is_scipys(first: Floats, second: Floats) -> None:
    expected = stats.ks_2samp(first, second, method="asymp").statistic
    assert kolmogorov_smirnov(*counts_by_value(first, second)) == pytest.approx(expected)


@unhurried
@given(samples, samples)
def test_every_value_of_both_samples_is_in_a_bin(first: Floats, second: Floats) -> None:
    for counts in (counts_by_value(first, second), counts_by_decile(first, second)):
        assert [side.sum() for side in counts] == [len(first), len(second)]
        assert len(counts[0]) == len(counts[1])


@unhurried
@given(samples)
def test_deciles_hold_a_tenth_each_unless_values_are_equal(values: Floats) -> None:
    counts = np.bincount(bins_of(values, decile_cuts(values)))
    assert len(counts) <= 10
    if len(set(values.tolist())) == len(values):
        assert counts.max() <= len(values) / 10 + 1


def test_the_stability_index_is_over_the_deciles_of_the_reference() -> None:
    reference = np.arange(1_000) / 1_000
    lower_half_twice = np.concatenate([reference[:500], reference[:500]])
    assert counts_by_decile(reference, lower_half_twice)[1].tolist() == [200] * 5 + [0] * 5
    shares = np.array([200.5] * 5 + [0.5] * 5) / 1_005
    expected = float(((shares - 0.1) * np.log(shares / 0.1)).sum())
    assert stability_index(*counts_by_decile(reference, lower_half_twice)) == pytest.approx(expected, rel=1e-9)


def test_an_empty_bin_counts_for_more_the_more_rows_there_are() -> None:
    index = [stability_index([rows, rows], [2 * rows, 0]) for rows in (10, 1_000, 100_000)]
    assert index[0] < index[1] < index[2] < 10
