"""Our numbers beside scipy's on the same bins, and beside what Evidently and NannyML say of the same data.

The peers' numbers were recorded by benchmarks/peers/record.py. Columns there are counts of distinct values, so that our
bins, one for each value, hold the raw data. Where the peers cut bins of their own, those are made again here.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from scipy import stats
from scipy.spatial import distance

from streaming.drift.shifts import value_distance
from streaming.models.profile import ColumnProfile
from streaming.statistics import tails
from streaming.statistics.distances import (
    chi_square,
    chi_square_moments,
    hellinger,
    jensen_shannon,
    kolmogorov_smirnov,
    stability_index,
    wasserstein,
)
from tests.support.drifts import Ints, numeric, pair, rows_of, sides, unhurried

RECORD: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "drift_peers.json").read_text())
COLUMNS: dict[str, dict[str, Any]] = RECORD["columns"]
NUMBERS: dict[str, dict[str, dict[str, float]]] = {peer: found["numbers"] for peer, found in RECORD["peers"].items()}
NUMERIC = [name for name, column in COLUMNS.items() if column["kind"] == "numeric"]
CATEGORICAL = [name for name, column in COLUMNS.items() if column["kind"] == "categorical"]
CONTINUOUS = [name for name in NUMERIC if len(COLUMNS[name]["values"]) > 20]
EXACT = 1e-9


@unhurried
@given(sides)
def test_chi_square_is_scipys_without_correction(both: tuple[list[int], list[int]]) -> None:
    table = np.array(both)[:, np.sum(both, axis=0) > 0]
    assume(table.shape[1] > 1)
    expected = stats.chi2_contingency(table, correction=False)
    value, degrees = chi_square(*both)
    assert value == pytest.approx(expected.statistic, rel=EXACT, abs=EXACT)
    assert degrees == expected.dof
    assert tails.chi_square(value, degrees) == pytest.approx(expected.pvalue, rel=EXACT, abs=1e-250)


@unhurried
@given(sides)
def test_jensen_shannon_is_scipys_to_base_two(both: tuple[list[int], list[int]]) -> None:
    expected = distance.jensenshannon(*both, base=2)
    # Near nothing scipy's root of a rounding error is itself one.
    assert jensen_shannon(*both) == pytest.approx(0 if math.isnan(expected) else expected, rel=EXACT, abs=1e-7)


@unhurried
@given(rows_of(9), rows_of(9))
def test_wasserstein_is_scipys_at_the_centres(reference: list[int], window: list[int]) -> None:
    one = pair(numeric([*reference, 0, 0, 0]), [*window, 0, 0, 0])
    centres, spread = one.profile.centres, one.profile.spread
    assume(spread > 0)
    expected = stats.wasserstein_distance(centres, centres, reference, window) / spread
    assert value_distance(one) == pytest.approx(expected, rel=EXACT, abs=EXACT)


@unhurried
@given(rows_of(6, 200), rows_of(6, 200))
def test_kolmogorov_smirnov_is_scipys_on_binned_values(reference: list[int], window: list[int]) -> None:
    rows = [np.repeat(np.arange(6), side) for side in (reference, window)]
    expected = stats.ks_2samp(*rows, method="asymp").statistic
    assert kolmogorov_smirnov(reference, window) == pytest.approx(expected, rel=EXACT, abs=EXACT)


@pytest.mark.parametrize("rare", [[0.9, 0.06, 0.03, 0.005, 0.005], [0.2] * 5], ids=["rare bins", "even"])
def test_the_moments_of_chi_square_are_those_of_dealing_the_rows_out_anew(rare: list[float]) -> None:
    total = np.array(rare) * 2_000
    dealt = np.random.default_rng(3).multivariate_hypergeometric(total.astype(int), 400, size=4_000)
    result = [chi_square(*split(total, side))[0] for side in dealt]
    mean, variance = chi_square_moments(*split(total, dealt[0]))
    assert np.mean(result) == pytest.approx(mean, rel=0.04)
    assert np.var(result) == pytest.approx(variance, rel=0.15)


def split(total: Any, window: Ints) -> tuple[list[int], list[int]]:
    return [int(count) for count in total - window], [int(count) for count in window]


def column(name: str) -> tuple[ColumnProfile, list[int], list[int]]:
    """A profile with a bin for each value, which stands at it, and both sides' counts."""
    data = COLUMNS[name]
    values = data["values"]
    edges = tuple((a + b) / 2 for a, b in pairwise(values))
    spread = float(np.std(np.repeat(values, data["reference"])))
    profile = ColumnProfile(name, "numeric", dict(enumerate(data["reference"])), edges, (), tuple(values), spread)
    return profile, data["reference"], data["window"]


def binned(name: str, rule: str, union: bool) -> tuple[list[int], list[int]]:
    """Both sides' counts between edges cut by one of numpy's rules, over both sides or the reference alone.

    Values beyond the edges have a bin of their own, as in NannyML.
    """
    data = COLUMNS[name]
    reference, window = (np.repeat(data["values"], data[side]) for side in ("reference", "window"))
    edges = np.histogram_bin_edges(np.concatenate([reference, window]) if union else reference, bins=rule)
    before, now = (np.histogram(side, edges)[0] for side in (reference, window))
    return [*before.tolist(), 0], [*now.tolist(), len(window) - int(now.sum())]


@pytest.mark.parametrize("peer", sorted(NUMBERS))
def test_the_record_names_the_peers_version_and_the_seed(peer: str) -> None:
    assert RECORD["peers"][peer]["version"]
    assert RECORD["seed"]
    assert set(NUMBERS[peer]) == set(COLUMNS)


@pytest.mark.parametrize("name", NUMERIC)
def test_wasserstein_is_evidentlys_normed_one_on_raw_data(name: str) -> None:
    profile, _, window = column(name)
    result = value_distance(pair(profile, [*window, 0, 0, 0]))
    assert result == pytest.approx(NUMBERS["evidently"][name]["wasserstein"], rel=EXACT)


@pytest.mark.parametrize("name", NUMERIC)
def test_kolmogorov_smirnov_is_evidentlys_on_raw_data(name: str) -> None:
    # Evidently tells the p-value alone; ours is Stephens' correction of the law whose exact form scipy sums.
    _, reference, window = column(name)
    result = kolmogorov_smirnov(reference, window)
    size = sum(reference) * sum(window) / (sum(reference) + sum(window))
    expected = NUMBERS["evidently"][name]["ks"]
    assert math.log(tails.kolmogorov(result, size)) == pytest.approx(math.log(expected), rel=0.02, abs=0.03)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_jensen_shannon_is_evidentlys_on_its_bins(name: str) -> None:
    # Evidently takes the natural logarithm, and cuts bins anew over both sides for every comparison.
    result = jensen_shannon(*binned(name, "sturges", union=True)) * math.sqrt(math.log(2))
    assert result == pytest.approx(NUMBERS["evidently"][name]["jensenshannon"], rel=EXACT)


@pytest.mark.parametrize("name", [*CATEGORICAL, "discrete_shifted"])
def test_jensen_shannon_is_evidentlys_on_categories(name: str) -> None:
    _, reference, window = column(name)
    result = jensen_shannon(reference, window) * math.sqrt(math.log(2))
    assert result == pytest.approx(NUMBERS["evidently"][name]["jensenshannon"], rel=EXACT)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_hellinger_is_evidentlys_on_categories(name: str) -> None:
    # Theirs is the root of one minus a sum near one, which loses digits.
    _, reference, window = column(name)
    assert hellinger(reference, window) == pytest.approx(NUMBERS["evidently"][name]["hellinger"], rel=1e-6)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_the_stability_index_is_evidentlys_on_categories(name: str) -> None:
    # Ours adds half a row to every bin; theirs puts 0.0001 where a share is zero, and there is none here.
    _, reference, window = column(name)
    expected = NUMBERS["evidently"][name]["psi"]
    assert stability_index(reference, window) == pytest.approx(expected, rel=0.005, abs=1e-5)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_stability_index_is_evidentlys_on_its_bins(name: str) -> None:
    # In their equally wide bins the outer ones have few rows or none, where the two fillings of zeros differ.
    reference, window = binned(name, "sturges", union=True)
    expected = NUMBERS["evidently"][name]["psi"]
    assert stability_index(reference, window) == pytest.approx(expected, rel=0.02, abs=5e-4)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_chi_square_would_be_evidentlys_if_the_reference_were_the_truth(name: str) -> None:
    # Theirs takes the reference's shares as known, without its noise: the limit of an endless reference.
    _, reference, window = column(name)
    endless = [count * 1_000_000 for count in reference]
    result = tails.chi_square(*chi_square(endless, window))
    assert result == pytest.approx(NUMBERS["evidently"][name]["chisquare"], rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_chi_square_is_nannymls(name: str) -> None:
    _, reference, window = column(name)
    assert chi_square(reference, window)[0] == pytest.approx(NUMBERS["nannyml"][name]["chi2"], rel=EXACT)


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize(
    ("statistic", "key"), [(jensen_shannon, "jensen_shannon"), (hellinger, "hellinger")], ids=["js", "hellinger"]
)
def test_distances_are_nannymls_on_its_bins(statistic: Any, key: str, name: str) -> None:
    # NannyML cuts by Doane's rule on the reference, with a bin for what is outside.
    result = statistic(*binned(name, "doane", union=False))
    assert result == pytest.approx(NUMBERS["nannyml"][name][key], rel=1e-6)


@pytest.mark.parametrize("name", CATEGORICAL)
@pytest.mark.parametrize(
    ("statistic", "key"), [(jensen_shannon, "jensen_shannon"), (hellinger, "hellinger")], ids=["js", "hellinger"]
)
def test_distances_are_nannymls_on_categories(statistic: Any, key: str, name: str) -> None:
    _, reference, window = column(name)
    assert statistic(reference, window) == pytest.approx(NUMBERS["nannyml"][name][key], rel=1e-6)


@pytest.mark.parametrize("name", NUMERIC)
def test_kolmogorov_smirnov_is_nannymls_on_raw_data(name: str) -> None:
    # NannyML cuts a reference of this size into 10,000 bins, finer than the values.
    _, reference, window = column(name)
    expected = NUMBERS["nannyml"][name]["kolmogorov_smirnov"]
    assert kolmogorov_smirnov(reference, window) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("name", NUMERIC)
def test_wasserstein_is_nannymls_in_units_of_the_spread(name: str) -> None:
    profile, reference, window = column(name)
    result = wasserstein(reference, window, profile.centres)
    assert result == pytest.approx(NUMBERS["nannyml"][name]["wasserstein"], rel=0.002, abs=1e-4)
