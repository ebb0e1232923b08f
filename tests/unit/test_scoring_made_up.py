"""The event that is made up to try a pipeline with: every guard of its columns allows it, wherever one can be named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.models.seams import Guard
from streaming.models.signature import Column, ColumnType, Signature
from streaming.scoring.made_up import made_up_event


def made_up(kind: ColumnType, *guards: Guard) -> Any:
    return made_up_event(Signature((Column("c", kind),)), guards)["c"]


@pytest.mark.parametrize(
    ("kind", "guards", "expected"),
    [
        pytest.param("double", (), 0.0, id="no guard"),
        pytest.param("string", (), "", id="no guard of text"),
        pytest.param("string", (NotNull("c"), InVocabulary("c", ("UA", "AA"))), "UA", id="a category"),
        pytest.param("long", (InVocabulary("c", ("7", "8")),), 7, id="a category of whole numbers"),
        pytest.param("double", (InVocabulary("c", ("1.5",)),), 1.5, id="a category of numbers"),
        pytest.param("boolean", (NotNull("c"),), False, id="a boolean"),
        pytest.param("double", (InRange("c", 0.5, 9.0),), 0.5, id="a range"),
        pytest.param("long", (InRange("c", 0.5, 9.0),), 1, id="a range of whole numbers"),
        pytest.param("integer", (InRange("c", -9.0, -0.5),), -9, id="a range of whole numbers below zero"),
        pytest.param("double", (InRange("c", -math.inf, math.inf),), 0.0, id="a range without bounds"),
        pytest.param("long", (InRange("c", 0.0, 3.0, open_end=True),), 0, id="an encoder's range"),
        pytest.param("double", (InCategories("c", (2.0, 3.0)),), 2.0, id="a vector indexer's categories"),
        pytest.param("double", (InRange("c", 2.5, 9.0), InCategories("c", (2.0, 3.0))), 3.0, id="two guards"),
    ],
)
def test_a_value_is_made_up_that_all_guards_of_its_column_allow(
    kind: ColumnType, guards: tuple[Guard, ...], expected: Any
) -> None:
    value = made_up(kind, *guards)
    assert (type(value), value) == (type(expected), expected)


NUMBERS = st.integers(-50, 50).map(lambda tenths: tenths / 10)
RANGES = st.tuples(NUMBERS, NUMBERS, st.booleans()).map(
    lambda parts: InRange("c", min(parts[:2]), max(parts[:2]) + 0.1, open_end=parts[2])
)
CATEGORIES = st.lists(NUMBERS, min_size=1).map(lambda values: InCategories("c", tuple(values)))


@settings(deadline=None)
@given(st.one_of(RANGES, CATEGORIES))
def test_one_guard_of_numbers_is_always_met(guard: InRange | InCategories) -> None:
    assert guard.allows(made_up("double", guard))


@settings(deadline=None)
@given(RANGES, st.sampled_from(["long", "integer"]))
def test_a_whole_number_is_in_every_range_that_has_one(guard: InRange, kind: ColumnType) -> None:
    inside = [number for number in range(-6, 7) if guard.allows(number)]
    assert not inside or guard.allows(made_up(kind, guard))
