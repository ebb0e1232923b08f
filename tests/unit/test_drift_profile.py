"""Laws of reference profiles: what is merged is what one pass over all rows would have made."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.drift.pair import Pair
from streaming.models.profile import (
    NON_FINITE_BIN,
    NULL_BIN,
    OTHER_BIN,
    RARE_BIN,
    ColumnProfile,
    ReferenceProfile,
)
from tests.support.drifts import categorical, numeric, unhurried

EDGES = (-1.0, 0.0, 2.0)
rows = st.lists(st.floats(-50, 50) | st.none(), max_size=40)


def made(values: Sequence[float | None]) -> ReferenceProfile:
    """One pass over the rows of a number and a category."""
    known = np.array([value for value in values if value is not None])
    bins = np.searchsorted(EDGES, known, side="right")
    counts = {position: int((bins == position).sum()) for position in range(4) if (bins == position).any()}
    nulls = {253: len(values) - len(known)} if len(known) < len(values) else {}
    centres = tuple(float(known[bins == position].mean()) if (bins == position).any() else 0.0 for position in range(4))
    spread = float(known.std()) if len(known) else 0.0
    number = ColumnProfile("x", "numeric", {**counts, **nulls}, EDGES, (), centres, spread, ({**counts, **nulls},))
    return ReferenceProfile((number, categorical([len(values), 0, 0, 0], "c")), len(values), 60.0)


def same(one: ReferenceProfile, other: ReferenceProfile) -> None:
    assert one.rows == other.rows
    for a, b in zip(one.columns, other.columns, strict=True):
        assert {position: count for position, count in a.counts.items() if count} == {
            position: count for position, count in b.counts.items() if count
        }
        assert a.spread == pytest.approx(b.spread, abs=1e-6)
        assert a.mean == pytest.approx(b.mean, abs=1e-9)
        filled = [position for position in range(len(a.centres)) if a.counts.get(position)]
        assert [a.centres[position] for position in filled] == pytest.approx(
            [b.centres[position] for position in filled]
        )
        assert sorted(map(str, a.windows)) == sorted(map(str, b.windows))


@unhurried
@given(rows, rows)
def test_merging_is_one_pass_over_both(first: list[float | None], second: list[float | None]) -> None:
    merged, whole = made(first).merged(made(second)), made(first + second)
    same(merged, replace(whole, columns=tuple(map(with_windows_of, whole.columns, merged.columns))))


def with_windows_of(column: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
    return replace(column, windows=other.windows)


@unhurried
@given(rows, rows)
def test_merging_does_not_care_which_is_first(first: list[float | None], second: list[float | None]) -> None:
    same(made(first).merged(made(second)), made(second).merged(made(first)))


@unhurried
@given(rows, rows, rows)
def test_merging_does_not_care_what_is_merged_first(
    first: list[float | None], second: list[float | None], third: list[float | None]
) -> None:
    a, b, c = made(first), made(second), made(third)
    same(a.merged(b).merged(c), a.merged(b.merged(c)))


@unhurried
@given(rows)
def test_merging_nothing_changes_nothing(values: list[float | None]) -> None:
    one = made(values)
    merged = one.merged(made([]))
    same(replace(merged, columns=tuple(map(with_windows_of, merged.columns, one.columns))), one)


def test_windows_stay_apart_and_in_their_order() -> None:
    first, second = (numeric([1, 1, 0, 0, 0], windows=windows) for windows in ([[1, 0, 0, 0, 0]], [[0, 1, 0, 0, 0]]))
    assert first.merged(second).windows == ({0: 1}, {1: 1})


@pytest.mark.parametrize(
    "other",
    [
        replace(numeric([1, 1, 0, 0, 0]), edges=(2.0,)),
        replace(numeric([1, 1, 0, 0, 0]), name="y"),
        replace(numeric([1, 1, 0, 0, 0]), centres=()),
        categorical([1, 1, 0, 0, 0]),
    ],
    ids=["other edges", "another column", "no centres", "another kind"],
)
def test_bins_that_differ_are_not_merged(other: ColumnProfile) -> None:
    with pytest.raises(ValueError, match="cut x into other bins"):
        numeric([1, 1, 0, 0, 0]).merged(other)


def test_windows_of_another_length_are_not_merged() -> None:
    with pytest.raises(ValueError, match="not equally long"):
        made([]).merged(replace(made([]), window_seconds=3600.0))


@unhurried
@given(rows)
def test_a_profile_is_read_as_it_was_written(values: list[float | None]) -> None:
    one = made(values)
    assert ReferenceProfile.from_json(one.to_json()) == one


def test_rare_values_are_read_as_they_were_written_and_have_a_bin_before_the_special_ones() -> None:
    column = replace(categorical([5, 4, 0, 0, 1], "c"), rare=("b", "a"))
    assert column.bins == (0, 1, RARE_BIN, NULL_BIN, NON_FINITE_BIN, OTHER_BIN)
    one = ReferenceProfile((column,), 10)
    assert ReferenceProfile.from_json(one.to_json()) == one
    with pytest.raises(ValueError, match="cut c into other bins"):
        one.merged(ReferenceProfile((replace(column, rare=("b",)),), 10))


def test_a_profile_of_the_second_schema_version_counts_rare_and_new_values_together_as_it_did() -> None:
    text = ReferenceProfile((categorical([5, 4, 0, 0, 1], "c"),), 10).to_json()
    before = json.loads(text)
    del before["columns"][0]["rare"]
    read = ReferenceProfile.from_json(json.dumps({**before, "schema_version": 2}))
    assert read == ReferenceProfile.from_json(text)
    assert read.columns[0].bins == (0, 1, NULL_BIN, NON_FINITE_BIN, OTHER_BIN)
    assert Pair.of(read.columns[0], {0: 1, OTHER_BIN: 2}).window == (1, 0, 0, 0, 2)


def test_the_first_schema_version_is_read_without_what_it_lacks() -> None:
    column = {"name": "x", "kind": "numeric", "edges": [0.0], "categories": [], "counts": {"0": 3}}
    read = ReferenceProfile.from_json(json.dumps({"schema_version": 1, "rows": 3, "columns": [column]}))
    assert read.window_seconds == 0
    assert read.columns[0].windows == ()
    assert math.isclose(read.columns[0].mean, 0.0)
