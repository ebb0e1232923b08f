"""The paired bootstrap: against scipy's, and against the truth where that is known."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streaming.backtest.answers import AnswerKind, Answers, Side
from streaming.backtest.bootstrap import Measured, paired_bootstrap
from streaming.backtest.draws import Draws, draws_for
from streaming.backtest.metrics import judge
from streaming.statistics.arrays import Floats, Ints
from tests.support.backtests import START, times, unhurried


def truth_of(right: Floats) -> Answers:
    """Two sides of which each is right where its row says so."""
    truth = np.ones(right.shape[1])
    recorded, candidate = (Side(row, row.astype(np.int64), None) for row in right)
    return Answers(AnswerKind.TWO_CLASSES, ("0", "1"), 1, recorded, candidate, truth, None)


def accuracy(right: Floats, draws: Draws, seed: int = 1) -> Measured:
    result = truth_of(right)
    return paired_bootstrap((judge(result, result.recorded), judge(result, result.candidate)), draws, 0.95, seed)[0]


def some(events: int, seed: int = 3) -> Floats:
    return (np.random.default_rng(seed).random((2, events)) < [[0.7], [0.75]]).astype(np.float64)


def test_the_same_seed_gives_the_same_intervals_and_another_one_does_not() -> None:
    right, draws = some(300), draws_for(None, 300, 200)
    assert accuracy(right, draws) == accuracy(right, draws)
    assert accuracy(right, draws).difference != accuracy(right, draws, seed=2).difference


def test_a_side_against_itself_differs_by_exactly_nothing() -> None:
    right = some(300)[[0, 0]]
    result = accuracy(right, draws_for(None, 300, 200)).difference
    assert (result.value, result.low, result.high) == (0, 0, 0)


def test_exchanging_the_sides_turns_the_difference_round() -> None:
    right, draws = some(300), draws_for(None, 300, 200)
    one, other = accuracy(right, draws).difference, accuracy(right[::-1], draws).difference
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_the_interval_of_a_mean_is_scipys_bootstrap() -> None:
    right = some(400)
    result = accuracy(right, draws_for(None, 400, 4_000)).difference
    random = np.random.default_rng(1)
    expected = stats.bootstrap(
        (right[1] - right[0],), np.mean, n_resamples=4_000, method="percentile", rng=random
    ).confidence_interval
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def covered(right_of: object, unit: Ints, truth: float, rounds: int = 80) -> float:
    """How many of the rounds' intervals hold the true difference."""
    assert callable(right_of)
    hits = 0
    for seed in range(rounds):
        draws = Draws("units", unit, int(unit.max()) + 1, 200)
        result = accuracy(right_of(np.random.default_rng(seed)), draws, seed).difference
        hits += result.low <= truth <= result.high
    return hits / rounds


def independent(random: np.random.Generator) -> Floats:
    return (random.random((2, 300)) < [[0.7], [0.75]]).astype(np.float64)


def by_days(random: np.random.Generator) -> Floats:
    """Thirty days of twenty events: on a bad one the candidate is much worse, on a good one much better."""
    day = np.repeat(random.normal(0, 0.3, 30), 20)
    return (random.random((2, 600)) < np.stack([np.full(600, 0.6), np.clip(0.6 + day, 0, 1)])).astype(np.float64)


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    assert 0.87 <= covered(independent, np.arange(300), 0.05) <= 0.99


def test_where_days_differ_only_an_interval_by_days_keeps_its_word() -> None:
    assert covered(by_days, np.repeat(np.arange(30), 20), 0.0) >= 0.9
    assert covered(by_days, np.arange(600), 0.0) < 0.85


def hours(events: int, every: timedelta) -> Ints:
    return np.array([int(time.timestamp() // 3_600) for time in times(events, every)])


@pytest.mark.parametrize(
    ("events", "every", "what", "count"),
    [
        pytest.param(2_880, timedelta(minutes=15), "days", 30, id="a month"),
        pytest.param(672, timedelta(minutes=15), "six-hour spans", 28, id="a week"),
        pytest.param(96, timedelta(minutes=15), "hours", 24, id="a day"),
        pytest.param(40, timedelta(minutes=15), "events", 40, id="a morning"),
        pytest.param(300, timedelta(days=1), "days", 300, id="an event a day"),
    ],
)
def test_the_longest_span_is_drawn_of_which_there_are_enough(
    events: int, every: timedelta, what: str, count: int
) -> None:
    result = draws_for(hours(events, every), events)
    assert (result.unit_name, result.count, len(set(result.unit.tolist()))) == (what, count, count)


def test_events_are_drawn_one_by_one_where_their_times_are_not_known() -> None:
    assert draws_for(None, 50).unit_name == "events"


@unhurried
@given(st.lists(st.integers(0, 24 * 60), min_size=1, max_size=200), st.integers(0, 99))
def test_as_many_units_are_drawn_as_there_are(offsets: list[int], seed: int) -> None:
    first = int(START.timestamp() // 3_600)
    draws = draws_for(np.array(offsets) + first, len(offsets))
    weights = draws.weights(np.random.default_rng(seed))
    assert len(weights) == weights.sum() == draws.count == len(set(draws.unit.tolist()))
    assert draws.unit.max() < draws.count


@pytest.mark.parametrize(("events", "times_"), [(100, 1_000), (200_000, 500), (10_000_000, 400)])
def test_many_events_are_drawn_less_often(events: int, times_: int) -> None:
    assert draws_for(None, events).replicates == times_
