"""Bins on Arrow batches: a byte for each profiled column. That they are Spark's is a matter of the tests beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_text import text_positions
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, RARE_BIN, ColumnProfile, ReferenceProfile
from streaming.scoring.arrow_bins import ProfileBins, bin_ids

INFINITY = math.inf


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        pytest.param(pa.float64(), "1.0", 1.0, id="a whole number"),
        pytest.param(pa.float64(), "-0.0", -0.0, id="negative zero"),
        pytest.param(pa.float64(), "0.001", 0.001, id="the smallest without an exponent"),
        pytest.param(pa.float64(), "9.99E-4", 0.000999, id="the largest with a negative exponent"),
        pytest.param(pa.float64(), "9999999.0", 9999999.0, id="the largest without an exponent"),
        pytest.param(pa.float64(), "1.0E7", 1e7, id="the smallest with an exponent"),
        pytest.param(pa.float64(), "4.9E-324", 5e-324, id="the smallest number"),
        pytest.param(pa.float64(), "1.15292150460684698E18", 2.0**60, id="more digits than it needs"),
        pytest.param(pa.float64(), "NaN", math.nan, id="not a number"),
        pytest.param(pa.float64(), "-Infinity", -INFINITY, id="negative infinity"),
        pytest.param(pa.float32(), "0.1", 0.1, id="a float"),
        pytest.param(pa.int64(), "-7", -7, id="a long"),
        pytest.param(pa.bool_(), "true", True, id="a boolean"),
        pytest.param(pa.string(), "São", "São", id="text"),
    ],
)
def test_a_value_is_found_by_the_text_that_spark_gives_it(kind: pa.DataType, text: str, value: Any) -> None:
    assert text_positions(pa.array([value, None], kind), ["other", text, text]).to_pylist() == [1, None]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        pytest.param(pa.float64(), "1", 1.0, id="without a fraction"),
        pytest.param(pa.float64(), "1.00", 1.0, id="with zeros at the end"),
        pytest.param(pa.float64(), "0.0", -0.0, id="zero of the other sign"),
        pytest.param(pa.float64(), "10.0E6", 1e7, id="two digits before the point"),
        pytest.param(pa.float64(), "10000000.0", 1e7, id="large without an exponent"),
        pytest.param(pa.float64(), "1.0E1", 10.0, id="small with an exponent"),
        pytest.param(pa.float64(), "1.0e7", 1e7, id="a small e"),
        pytest.param(pa.float64(), "0.10000000000000000555", 0.1, id="more digits than a double has"),
        pytest.param(pa.float64(), "nan", math.nan, id="not a number as others write it"),
        pytest.param(pa.float64(), "\u0661.0", 1.0, id="digits of another script"),
        pytest.param(pa.int64(), "1.0", 1, id="a whole number with a fraction"),
        pytest.param(pa.bool_(), "True", True, id="a boolean as Python writes it"),
        pytest.param(pa.string(), "ua", "UA", id="text in another case"),
    ],
)
def test_a_text_that_spark_does_not_write_is_not_found(kind: pa.DataType, text: str, value: Any) -> None:
    assert text_positions(pa.array([value], kind), [text]).to_pylist() == [None]


NUMERIC = ColumnProfile("distance", "numeric", {}, edges=(-1.0, 0.0, 2.5))
CATEGORICAL = ColumnProfile("carrier", "categorical", {}, categories=("UA", "", "AA"), rare=("DL", "UA"))


@pytest.mark.parametrize(
    ("profile", "values", "expected"),
    [
        pytest.param(NUMERIC, [-9.0, -1.0, -0.5], [0, 1, 1], id="an edge belongs to the bin above it"),
        pytest.param(NUMERIC, [-0.0, 0.0, 2.5, 1e300], [2, 2, 3, 3], id="zeros of both signs, and the last bin"),
        pytest.param(NUMERIC, [math.nan, INFINITY, -INFINITY], [NON_FINITE_BIN] * 3, id="not finite"),
        pytest.param(NUMERIC, [None, None], [NULL_BIN] * 2, id="null numbers"),
        pytest.param(NUMERIC, [], [], id="no rows"),
        pytest.param(ColumnProfile("n", "numeric", {}), [1.0, None], [0, NULL_BIN], id="no edges"),
        pytest.param(CATEGORICAL, ["UA", "AA", ""], [0, 2, 1], id="frequent categories"),
        pytest.param(CATEGORICAL, ["DL", "ua", None], [RARE_BIN, OTHER_BIN, NULL_BIN], id="rare, unseen and null"),
        pytest.param(ColumnProfile("n", "categorical", {}), ["UA"], [OTHER_BIN], id="no categories"),
    ],
)
def test_a_value_falls_into_its_bin(profile: ColumnProfile, values: Sequence[Any], expected: list[int]) -> None:
    kind = pa.float64() if profile.kind == "numeric" else pa.string()
    assert bin_ids(pa.array(values, kind), profile).tolist() == expected


def test_a_profile_may_have_250_bins() -> None:
    edges = ColumnProfile("n", "numeric", {}, edges=tuple(map(float, range(249))))
    names = ColumnProfile("n", "categorical", {}, categories=tuple(map(str, range(250))))
    assert bin_ids(pa.array([248], pa.int64()), edges).tolist() == [249]
    assert bin_ids(pa.array([249], pa.int64()), names).tolist() == [249]


def test_each_row_has_a_byte_for_each_profiled_column_in_the_profiles_order() -> None:
    answers = ColumnProfile("prediction", "numeric", {}, edges=(0.5,)), ColumnProfile("confidence", "numeric", {})
    batch = pa.record_batch(
        {"Carrier": ["AA", None], "distance": [3.0, -3.0], c.PREDICTION: [1.0, 0.0], c.CONFIDENCE: [None, 0.5]}
    )
    bins = ProfileBins(ReferenceProfile((*answers, CATEGORICAL, NUMERIC), rows=2)).of(batch)
    assert bins.to_pylist() == [bytes([1, NULL_BIN, 2, 3]), bytes([0, 0, NULL_BIN, 0])]


def test_a_profile_without_columns_gives_no_bins() -> None:
    assert ProfileBins(ReferenceProfile((), rows=1)).of(pa.record_batch({"x": [1.0]})).to_pylist() == [b""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param({"gust": [1.0]}, "has the column distance", id="no such column"),
        pytest.param({"distance": ["far"]}, "numeric bins of distance", id="text"),
    ],
)
def test_a_batch_that_does_not_fit_the_profile_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        ProfileBins(ReferenceProfile((NUMERIC,), rows=1)).of(pa.record_batch(columns))


@given(st.lists(st.none() | st.floats()), st.lists(st.floats(allow_nan=False, allow_infinity=False), unique=True))
def test_a_numbers_bin_is_the_first_whose_edge_is_above_it(values: list[float | None], edges: list[float]) -> None:
    profile = ColumnProfile("x", "numeric", {}, edges=tuple(sorted(edges)))

    def expected(value: float | None) -> int:
        if value is None:
            return NULL_BIN
        if not math.isfinite(value):
            return NON_FINITE_BIN
        return next((position for position, edge in enumerate(profile.edges) if value < edge), len(edges))

    assert bin_ids(pa.array(values, pa.float64()), profile).tolist() == [expected(value) for value in values]


@given(st.lists(st.floats(), min_size=1, max_size=9))
def test_a_number_is_found_by_its_own_text_alone(numbers: list[float]) -> None:
    (number, *others) = numbers
    texts = [spelled(other) for other in others]
    position = next((position for position, text in enumerate(texts) if text == spelled(number)), None)
    assert text_positions(pa.array([number], pa.float64()), texts).to_pylist() == [position]


def spelled(number: float) -> str:
    """Write a number as ``Double.toString`` does, with the fewest digits."""
    if not math.isfinite(number):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(number)]
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return str(number)
    mantissa, _, exponent = f"{number:.{len(digits(number)) - 1}e}".partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}E{int(exponent)}"


def digits(number: float) -> str:
    """The digits of the shortest text of a number."""
    return repr(abs(number)).partition("e")[0].replace(".", "").strip("0")
