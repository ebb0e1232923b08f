"""Vectors put together of parts have the sums of the matrix that they stand for, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.scoring.compiled.scope import Columns
from streaming.scoring.compiled.values import Floats, OneHot, Parts, dot, products

ROWS = 4
numbers = st.floats(allow_nan=False, width=32)
columns = st.lists(numbers, min_size=ROWS, max_size=ROWS).map(lambda column: np.array([column]).T)
one_hots = st.integers(0, 5).flatmap(
    lambda size: st.lists(st.integers(0, size), min_size=ROWS, max_size=ROWS).map(
        lambda categories: OneHot(np.array(categories), size)
    )
)
parts = st.lists(columns | one_hots, max_size=4).map(lambda made: Parts(ROWS, tuple(made)))


def matrix(made: Parts) -> Floats:
    """The same, element by element."""
    rows = np.zeros((ROWS, 0))
    for part in made.parts:
        rows = np.concatenate([rows, _elements(part).reshape(ROWS, -1)], axis=1)
    return rows


def _elements(part: OneHot | Floats) -> Floats:
    if isinstance(part, OneHot):
        return np.array([[float(category == at) for at in range(part.size)] for category in part.category])
    return part


@given(parts, st.data())
def test_sums_are_those_of_the_matrix_to_the_bit(made: Parts, data: st.DataObject) -> None:
    rows = matrix(made)
    assert np.array_equal(made.dense(), rows)
    weights = np.array(data.draw(st.lists(numbers, min_size=rows.shape[1], max_size=rows.shape[1])))
    with np.errstate(all="ignore"):
        assert dot(made, weights).tobytes() == dot(rows, weights).tobytes()
        assert (
            products(made, np.array([weights, -weights])).tobytes()
            == products(rows, np.array([weights, -weights])).tobytes()
        )


@pytest.mark.parametrize("weight", [np.inf, np.nan], ids=["infinity", "NaN"])
def test_a_zero_times_what_is_not_finite_is_no_zero(weight: float) -> None:
    made = Parts(2, (OneHot(np.array([0, 1]), 2),))
    with np.errstate(all="ignore"):
        assert dot(made, np.array([1.0, weight])).tobytes() == dot(made.dense(), np.array([1.0, weight])).tobytes()


def test_without_rows_of_weights_there_are_no_products() -> None:
    assert products(Parts(3, ()), np.zeros((0, 0))).shape == (3, 0)


def test_who_needs_all_elements_gets_the_matrix() -> None:
    made = Parts(2, (np.array([[2.5], [3.5]]), OneHot(np.array([1, 2]), 2)))
    held = Columns({"both": made, "category": made.parts[1]}, 2)
    assert held.vector("both").tolist() == [[2.5, 0.0, 1.0], [3.5, 0.0, 0.0]]
    assert np.asarray(held.rows_of("BOTH")).tolist() == held.vector("both").tolist()
    assert held.summands("both") is made
    assert np.asarray(held.summands("category")).tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert held.parts("both") == made.parts
