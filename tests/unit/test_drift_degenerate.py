"""Columns with nothing to compare: judging any counts by any profile gives legal states and finite numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.drift import INVALID, State, SummaryRecord, Window
from streaming.drift.decision import ColumnRules, ColumnVerdict, DetectionRules, WindowCounts, WindowJudge
from streaming.drift.measures import measures, statistic_records, summary_record
from streaming.drift.report.make import make_report
from streaming.drift.report.output import as_json
from streaming.models.profile import (
    MAX_VALUE_BINS,
    NON_FINITE_BIN,
    NULL_BIN,
    OTHER_BIN,
    ColumnProfile,
    Counts,
    ReferenceProfile,
)

HOUR = Window("app", "model", 1, "2013-01-01T05:00:00.000Z", "2013-01-01T06:00:00.000Z")
CHANCE = 0.01


def publish(verdicts: Sequence[ColumnVerdict], counts: WindowCounts, profile: ReferenceProfile) -> None:
    """Make everything that the window would put on its topic, and the report; JSON refuses infinity and NaN."""
    summary = summary_record(HOUR, counts, verdicts, 0, "watermark")
    report = make_report("app", "model", [SummaryRecord.from_dict(json.loads(summary.to_json()))], {1: profile})
    json.dumps(as_json(report), allow_nan=False)
    for record in statistic_records(HOUR, verdicts, CHANCE):
        assert record.to_json()


def number(name: str, counts: Counts, windows: Sequence[Counts] = (), edges: tuple[float, ...] = ()) -> ColumnProfile:
    centres = tuple(float(position) for position in range(len(edges) + 1))
    return ColumnProfile(name, "numeric", counts, edges, (), centres, 1.0 if edges else 0.0, tuple(windows))


def judged(column: ColumnProfile, *windows: Counts) -> list[ColumnVerdict]:
    """The column's verdict in each window; what is published is looked at as well."""
    profile = ReferenceProfile((column,), sum(column.counts.values()), 3600.0)
    judge = WindowJudge(profile, DetectionRules())
    every = []
    for position, cells in enumerate(windows):
        counts = WindowCounts(3600.0 * position, 3600.0 * (position + 1), sum(cells.values()), 0, (cells,))
        verdicts = judge.judge(counts)
        publish(verdicts, counts, profile)
        every.append(verdicts[0])
    return every


@pytest.mark.parametrize("windows", [0, 1, 8, 20], ids=lambda windows: f"{windows} windows")
@pytest.mark.parametrize("empty", [NULL_BIN, NON_FINITE_BIN], ids=["null", "not finite"])
def test_a_column_without_any_value_is_judged_by_its_special_bins(windows: int, empty: int) -> None:
    """Such as the confidence of a regressor, which is null throughout."""
    column = number("confidence", {empty: 20_000}, [{empty: 1_000}] * windows)
    still, values, again = judged(column, {empty: 1_000}, {empty: 900, 0: 100}, {empty: 1_000})
    assert (still.state, still.detection.p_value) == (State.STABLE, 1.0)
    assert values.state is State.WARNING
    assert values.detection.finding.test in ("nulls", "non_finite", "shape")
    assert again.state is State.STABLE


@pytest.mark.parametrize("windows", [0, 20], ids=lambda windows: f"{windows} windows")
@pytest.mark.parametrize(
    ("column", "still", "moved"),
    [
        pytest.param(("numeric", {1: 20_000}, (5.0, 5.1)), {1: 1_000}, {1: 950, 2: 50}, id="a constant that moves"),
        pytest.param(("numeric", {0: 20_000}, ()), {0: 1_000}, {0: 900, NULL_BIN: 100}, id="all in one bin"),
        pytest.param(("numeric", {0: 20_000}, (5.0,)), {0: 1_000}, {1: 1_000}, id="everything beyond"),
        pytest.param(("categorical", {0: 20_000}, ("a",)), {0: 1_000}, {0: 990, OTHER_BIN: 10}, id="one category"),
        pytest.param(("categorical", {NULL_BIN: 20_000}, ()), {NULL_BIN: 1_000}, {OTHER_BIN: 1_000}, id="no category"),
    ],
)
def test_a_column_of_one_bin_is_stable_until_something_else_comes(
    column: tuple[str, Counts, tuple[float, ...] | tuple[str, ...]], still: Counts, moved: Counts, windows: int
) -> None:
    kind, counts, shape = column
    history = [{position: rows // 20 for position, rows in counts.items()}] * windows
    profile = (
        number("x", counts, history, tuple(map(float, shape)))
        if kind == "numeric"
        else ColumnProfile("x", "categorical", counts, (), tuple(map(str, shape)), windows=tuple(history))
    )
    first, second, third = judged(profile, still, moved, moved)
    assert first.state is State.STABLE
    assert (second.state, third.state) == (State.WARNING, State.DRIFT)


@pytest.mark.parametrize("windows", [(), ({},) * 20], ids=["no windows", "empty windows"])
def test_a_column_without_a_reference_is_insufficient(windows: tuple[Counts, ...]) -> None:
    (one,) = judged(number("x", {}, windows, (1.0, 2.0)), {0: 1_000})
    assert one.state is State.INSUFFICIENT


counts_of_bins = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 2_000), st.integers(0, 10**9))


def cells(places: Sequence[int]) -> st.SearchStrategy[Counts]:
    """Counts of some of the bins: none, one, a few or all of them."""
    return st.lists(st.sampled_from(places), max_size=6, unique=True).flatmap(
        lambda filled: st.fixed_dictionaries(dict.fromkeys(filled, counts_of_bins))
    )


@st.composite
def profiles(draw: st.DrawFn) -> tuple[ColumnProfile, tuple[int, ...]]:
    """A column of any kind, with the bins that a window may have: those that it does not know as well."""
    bins = draw(st.sampled_from([0, 1, 2, 3, 11, MAX_VALUE_BINS - 1]))
    kinds: tuple[Literal["numeric", "categorical"], ...] = ("numeric", "categorical")
    kind = draw(st.sampled_from(kinds))
    edges = tuple(float(position) for position in range(bins)) if kind == "numeric" else ()
    names = tuple(f"c{n}" for n in range(bins)) if kind == "categorical" else ()
    rare = draw(st.sampled_from([(), ("r",)])) if names else ()
    shape = ColumnProfile("x", kind, {}, edges, names, rare=rare)
    filled = cells(shape.bins)
    windows = draw(st.lists(filled, max_size=3)) * draw(st.sampled_from([0, 1, 3, 20]))
    far = draw(st.sampled_from([0.5, 1e308, math.inf]))
    centres = edges and (-far, *(edge - 0.5 for edge in edges[1:]), bins + far)
    spread = draw(st.sampled_from([0.0, 5e-324, 1.0, 1e300, math.inf, math.nan]))
    made = ColumnProfile("x", kind, draw(filled), edges, names, centres, spread, tuple(windows), rare)
    return made, (*shape.bins, min(bins + 1, MAX_VALUE_BINS))


def assert_finite(value: float | None) -> None:
    assert value is None or math.isfinite(value)


def assert_probability(value: float | None) -> None:
    assert value is None or 0.0 <= value <= 1.0


@settings(deadline=None, max_examples=150)
@given(st.lists(profiles(), max_size=3), st.data(), st.integers(0, 10**6), st.integers(1, 600))
def test_judging_never_raises_and_says_only_what_can_be_said(
    made: list[tuple[ColumnProfile, tuple[int, ...]]], data: st.DataObject, invalid: int, min_rows: int
) -> None:
    columns = tuple(replace(column, name=f"x{n}") for n, (column, _) in enumerate(made))
    profile = ReferenceProfile(columns, 1, 60.0)
    judge = WindowJudge(profile, DetectionRules(column=ColumnRules(min_rows=min_rows)))
    for position in range(2):
        seen = tuple(data.draw(cells(bins)) for _, bins in made)
        counts = WindowCounts(60.0 * position, 60.0 * (position + 1), 1, invalid, seen)
        verdicts = judge.judge(counts)
        assert [one.column for one in verdicts] == [*(column.name for column in columns), INVALID]
        for one in verdicts:
            check(one)
        publish(verdicts, counts, profile)


def check(one: ColumnVerdict) -> None:
    assert one.state in State
    assert_probability(one.adjusted)
    assert_probability(one.detection.p_value)
    assert one.effect >= 0
    assert_finite(one.effect)
    if one.state is State.INSUFFICIENT:
        assert not one.signal
    for measure in measures(one, CHANCE):
        assert_finite(measure.value)
        assert_finite(measure.threshold)
        assert_probability(measure.p_value)
