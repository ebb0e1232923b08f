"""Which windows of a reference are counted apart: none of a data set's rhythms is missed, and none is made up."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.drift.decision import DetectionRules, WindowJudge
from streaming.models.profile import ReferenceProfile
from streaming.training.spread import LONGEST_PERIOD, spread
from tests.support.drifts import Ints, normal_shares, numeric, unhurried, window

NUMBER = 60
lengths, starts = st.integers(NUMBER + 1, 3_000), st.integers(-(10**6), 10**6)


def phases(windows: Sequence[int], period: int) -> set[int]:
    return {number % period for number in windows}


def concentration(windows: Sequence[int], period: int) -> float:
    """How much the phases lie on one side of the period: 0 evenly, 1 all the same."""
    turns = sum(cmath.exp(2j * math.pi * number / period) for number in windows)
    return abs(turns) / len(windows)


@unhurried
@given(lengths, starts)
def test_every_phase_of_a_period_is_in(length: int, start: int) -> None:
    chosen = spread(range(start, start + length), NUMBER)
    for period in (*range(2, 13), 24):
        assert len(phases(chosen, period)) == period, period
    for period in range(13, LONGEST_PERIOD + 1):
        assert len(phases(chosen, period)) > 2 / 3 * period, period


@unhurried
@given(lengths, starts, st.data())
def test_no_period_finds_the_choice_on_one_side(length: int, start: int, data: st.DataObject) -> None:
    """A choice at random of 60 would be more one-sided than this for one period in 200,000; every k-th has 1."""
    chosen = spread(range(start, start + length), NUMBER)
    period = data.draw(st.integers(2, max(length // 2, 2)))
    assert concentration(chosen, period) < 0.45


@unhurried
@given(lengths, starts)
def test_the_choice_is_spread_over_the_reference_s_time(length: int, start: int) -> None:
    windows = range(start, start + length)
    chosen = spread(windows, NUMBER)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == NUMBER
    assert [(number - start) // (length / NUMBER) for number in chosen] == pytest.approx(range(NUMBER), abs=1)
    assert spread(list(windows), NUMBER) == chosen, "the same windows give the same choice"


@pytest.mark.parametrize("length", [0, 1, NUMBER - 1, NUMBER], ids=lambda length: f"{length} windows")
def test_of_few_windows_all_are_chosen(length: int) -> None:
    assert spread(range(length), NUMBER) == list(range(length))


@pytest.mark.parametrize(
    "open_hours",
    [
        pytest.param(lambda hour: 8 <= hour % 24 < 18 and hour // 24 % 7 < 5, id="office hours"),
        pytest.param(lambda hour: hour % 24 == 3, id="one hour a night"),
        pytest.param(lambda hour: random.Random(hour).random() < 0.3, id="three in ten"),
    ],
)
def test_windows_without_rows_cost_no_choice(open_hours: Callable[[int], bool]) -> None:
    windows = [hour for hour in range(90 * 24) if open_hours(hour)]
    chosen = spread(windows, NUMBER)
    assert len(chosen) == NUMBER
    assert phases(chosen, 24) == phases(windows, 24)
    assert phases([hour // 24 for hour in chosen], 7) == phases([hour // 24 for hour in windows], 7)


def daily(hour: int) -> float:
    return 0.5 * math.sin(2 * math.pi * hour / 24)


def weekends(day: int) -> float:
    return 0.3 if day % 7 in (5, 6) else 0.0


def both(hour: int) -> float:
    return 0.3 * math.sin(2 * math.pi * hour / 24) + weekends(hour // 24)


@pytest.mark.parametrize(
    ("season", "length"),
    [
        *(pytest.param(daily, days * 24, id=f"hours, {days} days") for days in (7, 28, 30, 31, 60, 90)),
        *(pytest.param(weekends, days, id=f"days, {days}") for days in (182, 365, 366, 420)),
        *(pytest.param(both, days * 24, id=f"hours with weekends, {days} days") for days in (28, 60, 91)),
        pytest.param(lambda quarter: daily(quarter // 4), 60 * 96, id="quarters of an hour, 60 days"),
    ],
)
def test_windows_that_change_with_the_season_alone_are_no_drift(season: Callable[[int], float], length: int) -> None:
    """Noise of a twentieth of a deviation on a season; nothing changes in the 168 windows after the reference."""
    rng = np.random.default_rng(4)
    rows = [counts(rng, season(number)) for number in range(length + 168)]
    kept = [list(map(int, rows[number])) for number in spread(range(length), NUMBER)]
    column = numeric([int(count) for count in np.sum(rows[:length], axis=0)], windows=kept)
    judge = WindowJudge(ReferenceProfile((column,), 1_000 * length, 3600.0), DetectionRules())
    signals = [judge.judge(window(row, start=60.0 * position))[0].signal for position, row in enumerate(rows[length:])]
    assert sum(signals) <= 3


def counts(rng: np.random.Generator, level: float) -> Ints:
    return rng.multinomial(1_000, normal_shares(shift=level + 0.05 * rng.standard_normal()))
