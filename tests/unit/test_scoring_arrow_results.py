"""Invalid predictions and confidences on Arrow batches, and which of several verdicts counts."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import Rejection
from streaming.events.arrow_verdicts import VERDICT_STRUCT, with_verdicts
from streaming.events.columns import RESULTS
from streaming.scoring.arrow_results import confidences, with_invalid_predictions

EARLIER = Rejection("WRONG_TYPE", "y")


def verdicts_of(*rejections: Rejection | None) -> pa.StructArray:
    return pa.array([rejection and rejection._asdict() for rejection in rejections], VERDICT_STRUCT)


def rejections_of(verdicts: pa.StructArray) -> list[Rejection | None]:
    return [verdict and Rejection(**verdict) for verdict in verdicts.to_pylist()]


RULES = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), max_size=4)


@given(st.lists(st.sampled_from([None, EARLIER, Rejection("TOMBSTONE")]), min_size=5, max_size=5), RULES)
def test_a_row_keeps_its_verdict_or_has_that_of_the_first_rule_it_fails(
    earlier: list[Rejection | None], rules: list[list[bool]]
) -> None:
    named = [Rejection(f"R{position}", None if position % 2 else "f") for position in range(len(rules))]
    masks = [(np.array(fails, np.bool_), rejection) for fails, rejection in zip(rules, named, strict=True)]

    def expected(row: int) -> Rejection | None:
        return earlier[row] or next((rejection for fails, rejection in masks if fails[row]), None)

    assert rejections_of(with_verdicts(verdicts_of(*earlier), masks)) == [expected(row) for row in range(5)]


@pytest.mark.parametrize(
    ("prediction", "probability", "is_valid"),
    [
        pytest.param(1.0, [0.25, 0.75], True, id="good"),
        pytest.param(1e308, None, True, id="without probabilities"),
        pytest.param(None, [0.5], False, id="null"),
        pytest.param(math.nan, [0.5], False, id="NaN"),
        pytest.param(-math.inf, None, False, id="infinite"),
        pytest.param(1.0, [0.5, math.nan], False, id="a NaN among the probabilities"),
        pytest.param(1.0, [math.inf, 0.5], True, id="an infinite probability"),
    ],
)
def test_a_prediction_that_is_no_number_is_rejected(
    prediction: float | None, probability: list[float] | None, is_valid: bool
) -> None:
    lists = pa.array([probability], pa.list_(pa.float64()))
    columns = [pa.array([prediction], pa.float64()), lists, pa.nulls(1, pa.string()), confidences(lists)]
    answers = pa.record_batch(columns, RESULTS)
    (verdict,) = rejections_of(with_invalid_predictions(verdicts_of(None), answers))
    assert verdict == (None if is_valid else Rejection("INVALID_PREDICTION"))
    assert rejections_of(with_invalid_predictions(verdicts_of(EARLIER), answers)) == [EARLIER]


@given(st.lists(st.none() | st.lists(st.none() | st.floats())), st.integers(0, 3))
def test_the_confidence_is_the_largest_probability_and_nan_the_largest_of_all(
    rows: list[list[float | None] | None], start: int
) -> None:
    def largest(row: list[float | None] | None) -> float | None:
        numbers = [number for number in row or () if number is not None]
        return max(numbers, key=lambda number: (math.isnan(number), number), default=None)

    actual = confidences(pa.array(rows, pa.list_(pa.float64())).slice(start))
    assert [repr(number) for number in actual.to_pylist()] == [repr(largest(row)) for row in rows[start:]]
