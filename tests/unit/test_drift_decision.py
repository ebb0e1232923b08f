"""From p-values to states: control over columns, memory over windows, and what overrides say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.drift import INVALID, State
from streaming.drift.decision import (
    ColumnRules,
    ColumnVerdict,
    DetectionRules,
    WindowCounts,
    WindowJudge,
    holm,
    noiseless_effect,
)
from streaming.drift.states import Memory, Patience, Severity, severity, worst
from streaming.models.profile import ReferenceProfile
from tests.support.drifts import categorical, normal_shares, numeric, pair, rows_of, unhurried, window

STILL = [100] * 10 + [0, 0, 0]
MOVED = [round(1_000 * share) for share in normal_shares(shift=0.5)]
FEW = [10] * 10 + [0, 0, 0]
PROFILE = ReferenceProfile(
    (*(numeric([2_000] * 10 + [0, 0, 0], name) for name in "xy"), categorical([15_000, 5_000, 0, 0, 0], "c")), 20_000
)


def verdicts(judge: WindowJudge, x: Sequence[int], start: float = 0.0, invalid: int = 0) -> dict[str, ColumnVerdict]:
    """Judge a window whose other columns are as their reference."""
    rows = [x, [round(sum(x) / 10)] * 10 + [0, 0, 0], [round(sum(x) * share) for share in (0.75, 0.25, 0, 0, 0)]]
    return {one.column: one for one in judge.judge(window(*rows, start=start, invalid=invalid))}


def states(rules: DetectionRules, windows: Sequence[Sequence[int]]) -> list[State]:
    judge = WindowJudge(PROFILE, rules)
    return [verdicts(judge, x, start=60.0 * position)["x"].state for position, x in enumerate(windows)]


def test_holms_method_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@unhurried
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.999))
def test_holm_rejects_what_closed_testing_by_bonferroni_rejects(p_values: list[float], chance: float) -> None:
    """One falls if every set of hypotheses that it is in falls by Bonferroni: the definition, without steps."""
    places = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(places, size)]
    needed = [
        max(min(1.0, len(s) * min(p_values[position] for position in s)) for s in sets if one in s) for one in places
    ]
    assert holm(p_values) == pytest.approx(needed)
    assert [p <= chance for p in holm(p_values)] == [p <= chance for p in needed]


@unhurried
@given(st.lists(st.floats(0, 1), max_size=30), st.randoms(use_true_random=False))
def test_holm_does_not_care_for_the_order_of_columns(p_values: list[float], chance: random.Random) -> None:
    order = list(range(len(p_values)))
    chance.shuffle(order)
    shuffled = holm([p_values[position] for position in order])
    assert [holm(p_values)[position] for position in order] == shuffled
    assert all(a >= p for a, p in zip(holm(p_values), p_values, strict=True))


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ("....", "SSSS"),
        ("!...", "WSSS"),
        ("!.!.", "WSWS"),
        ("!!!!", "WDDD"),
        ("!!..", "WDDS"),
        ("!!.!", "WDDD"),
        ("!!.!..!", "WDDDDSW"),
    ],
)
def test_drift_comes_and_goes_with_the_second_window(signals: str, expected: str) -> None:
    result = states(DetectionRules(), [MOVED if signal == "!" else STILL for signal in signals])
    assert "".join(state.value[0].upper() for state in result) == expected


def test_patience_is_what_the_rules_say() -> None:
    rules = DetectionRules(column=ColumnRules(patience=Patience(enter=1, leave=3)))
    assert states(rules, [MOVED, STILL, STILL, STILL]) == [State.DRIFT] * 3 + [State.STABLE]


@unhurried
@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_since_is_the_first_window_of_the_running_signal(signals: list[bool], enter: int, leave: int) -> None:
    memory, patience = Memory(), Patience(enter, leave)
    for position, signal in enumerate(signals):
        memory = memory.next(signal, float(position), patience)
        assert (memory.since is not None) == (memory.state is not State.STABLE)
        if memory.since is not None:
            assert signals[int(memory.since)]
        if memory.state is State.DRIFT:
            assert any(all(signals[at : at + enter]) for at in range(position + 2 - enter))
            assert any(signals[max(position + 1 - leave, 0) : position + 1])


def test_a_window_that_is_too_small_is_no_news_and_changes_nothing() -> None:
    judge = WindowJudge(PROFILE, DetectionRules())
    verdicts(judge, MOVED)
    before = dict(judge.memory)
    result = verdicts(judge, FEW, start=60)
    assert {one.state for one in result.values()} == {State.INSUFFICIENT}
    assert judge.memory == before
    assert verdicts(judge, MOVED, start=120)["x"].state is State.DRIFT


def test_the_columns_that_did_not_move_stay_stable() -> None:
    result = verdicts(WindowJudge(PROFILE, DetectionRules()), MOVED)
    assert {name: one.state for name, one in result.items()} == {
        "x": State.WARNING,
        "y": State.STABLE,
        "c": State.STABLE,
        INVALID: State.STABLE,
    }
    assert result["x"].signal
    assert result["x"].since == 0


@pytest.mark.parametrize(
    ("rules", "state"),
    [
        (ColumnRules(min_rows=5_000), State.INSUFFICIENT),
        (ColumnRules(negligible=0.9), State.STABLE),
        (ColumnRules(patience=Patience(enter=1)), State.DRIFT),
    ],
    ids=["more rows", "larger effects", "no patience"],
)
def test_one_column_may_have_rules_of_its_own(rules: ColumnRules, state: State) -> None:
    result = verdicts(WindowJudge(PROFILE, DetectionRules(overrides={"x": rules})), MOVED)
    assert result["x"].state is state
    assert result["y"].state is State.STABLE


def test_a_column_that_is_ignored_is_not_spoken_of_and_costs_the_others_nothing() -> None:
    ignore = ColumnRules(ignore=True)
    every = verdicts(WindowJudge(PROFILE, DetectionRules()), MOVED)
    fewer = verdicts(WindowJudge(PROFILE, DetectionRules(overrides={"y": ignore, INVALID: ignore})), MOVED)
    assert set(fewer) == {"x", "c"}
    assert fewer["x"].adjusted == pytest.approx(every["x"].adjusted / 2)


@pytest.mark.parametrize(
    ("invalid", "signal"),
    [(0, False), (10, False), (14, False), (60, True)],
    ids=["none", "in order", "chance", "many"],
)
def test_dead_letters_signal_above_their_share(invalid: int, signal: bool) -> None:
    one = verdicts(WindowJudge(PROFILE, DetectionRules()), STILL, invalid=invalid)[INVALID]
    assert one.signal is signal
    assert one.share == pytest.approx(invalid / (1_000 + invalid))


def test_a_window_of_dead_letters_alone_is_judged_by_them() -> None:
    result = WindowJudge(PROFILE, DetectionRules()).judge(WindowCounts(0, 60, 0, 900, ({}, {}, {})))
    assert [one.state for one in result] == [State.INSUFFICIENT] * 3 + [State.WARNING]


def test_more_columns_need_more_certainty() -> None:
    row = [round(1_000 * share) for share in normal_shares(shift=0.12)]
    adjusted = []
    for number in (1, 10, 50):
        columns = tuple(numeric([2_000] * 10 + [0, 0, 0], f"x{position}") for position in range(number))
        judge = WindowJudge(ReferenceProfile(columns, 20_000), DetectionRules())
        adjusted.append(judge.judge(window(row, *[STILL] * (number - 1)))[0].adjusted)
    assert adjusted[0] <= 0.01 < adjusted[2]
    assert adjusted == sorted(adjusted)


@unhurried
@given(rows_of(12), rows_of(12))
def test_the_effect_is_never_below_zero_and_nothing_where_shares_are_equal(row: list[int], other: list[int]) -> None:
    assert noiseless_effect(pair(numeric(row), row)) == 0
    assert noiseless_effect(pair(numeric(row), other)) >= 0


@pytest.mark.parametrize("shift", [0.1, 0.25, 0.5])
def test_the_effect_of_a_shift_is_about_its_square(shift: float) -> None:
    row = [round(100_000 * share) for share in normal_shares(shift=shift)]
    assert noiseless_effect(pair(numeric([10**5] * 10 + [0, 0, 0]), row)) == pytest.approx(shift**2, rel=0.1)


@pytest.mark.parametrize(
    ("effect", "word"),
    [(0.0001, Severity.NEGLIGIBLE), (0.05, Severity.SMALL), (0.1, Severity.MODERATE), (0.25, Severity.LARGE)],
)
def test_the_word_is_for_the_size(effect: float, word: Severity) -> None:
    assert severity(effect, 0.001) is word


def test_a_window_is_as_bad_as_its_worst_column() -> None:
    assert worst([State.STABLE, State.DRIFT, State.WARNING, State.INSUFFICIENT]) is State.DRIFT
    assert worst([State.STABLE, State.INSUFFICIENT]) is State.STABLE
    assert worst([]) is State.INSUFFICIENT
