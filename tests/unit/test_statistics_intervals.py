"""The intervals, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streaming.statistics.intervals import Estimate, expanded_tail, percentile_interval, wilson
from tests.support.backtests import unhurried


@unhurried
@given(total=st.integers(1, 10_000), part=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(total: int, part: float, confidence: float) -> None:
    count = round(part * total)
    result = wilson(count, total, confidence)
    expected = stats.binomtest(count, total).proportion_ci(confidence, method="wilson")
    assert (result.value, result.low, result.high) == pytest.approx(
        (count / total, expected.low, expected.high), abs=1e-9
    )


@pytest.mark.parametrize("units", [2, 5, 20, 30, 365, 100_000])
def test_few_units_are_left_as_much_room_as_students_t_does(units: int) -> None:
    expected = stats.norm.cdf(-stats.t.ppf(0.975, units - 1) * np.sqrt(units / (units - 1)))
    assert expanded_tail(0.95, units) == pytest.approx(expected, rel=1e-9)


def test_an_interval_is_between_the_quantiles_of_the_replicates_that_are_defined() -> None:
    replicates = np.append(np.arange(101.0), [np.nan, np.inf])
    assert percentile_interval(50.0, replicates, 0.05) == Estimate(50.0, 5.0, 95.0)


@pytest.mark.parametrize(
    ("value", "replicates"),
    [
        pytest.param(float("nan"), [1.0, 2.0], id="no value"),
        pytest.param(1.0, [float("nan")], id="no replicate"),
        pytest.param(1.0, [], id="none drawn"),
    ],
)
def test_what_is_not_defined_has_no_interval(value: float, replicates: list[float]) -> None:
    result = percentile_interval(value, np.array(replicates), 0.025)
    assert np.isnan([result.value, result.low, result.high]).all()
