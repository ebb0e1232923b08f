"""The bound on batches after a start: small, then as much as is done in a quarter of the time since."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.engines.ramp import FIRST, Ramp


class Seconds:
    """A monotonic clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Life:
    """A query of a model that scores ``rate`` rows a second, on a topic that always has more."""

    def __init__(self, most: int, rate: float) -> None:
        self.clock, self.rate = Seconds(), rate
        self.ramp = Ramp(most, self.clock)
        self.limit = self.ramp.begin()
        self.began = self.clock.now

    def batch(self) -> float:
        """Score a batch, and return how long it took."""
        seconds = self.limit / self.rate
        self.clock.now += seconds
        self.limit = self.ramp.after(self.limit, seconds) or self.limit
        return seconds

    @property
    def lived(self) -> float:
        return self.clock.now - self.began


def test_without_a_start_it_is_all_that_the_settings_allow() -> None:
    ramp = Ramp(200_000)
    assert ramp.limit == 200_000
    assert ramp.after(200_000, 1.0) is None


@pytest.mark.parametrize(("most", "first"), [(200_000, FIRST), (FIRST, FIRST), (7, 7)])
def test_the_first_batch_is_small(most: int, first: int) -> None:
    assert Ramp(most).begin() == first


def test_full_batches_are_reached_within_seconds() -> None:
    life = Life(200_000, rate=50_000.0)
    while life.limit < 200_000:
        life.batch()
    assert life.lived < 20


@given(rate=st.floats(10, 1e6), most=st.integers(1, 10**7), batches=st.integers(1, 60))
def test_a_batch_takes_at_most_a_quarter_of_the_time_that_the_query_has_lived(
    rate: float, most: int, batches: int
) -> None:
    life = Life(most, rate)
    for _ in range(batches):
        before, lived = life.limit, life.lived
        took = life.batch()
        assert before == min(FIRST, most) or took <= lived / 4 * 1.001
        assert before <= life.limit <= most


def test_a_batch_that_was_all_there_is_says_nothing_and_the_first_one_of_many_rows_does() -> None:
    clock = Seconds()
    ramp = Ramp(200_000, clock)
    ramp.begin()
    for _ in range(100):
        clock.now += 10
        assert ramp.after(3, 0.1) is None
    assert ramp.after(FIRST - 5, 0.1) == 200_000


def test_a_large_batch_that_was_planned_before_is_done_and_the_next_one_is_no_larger_than_its_time_allows() -> None:
    clock = Seconds()
    ramp = Ramp(200_000, clock)
    ramp.begin()
    clock.now += 10.0
    assert ramp.after(200_000, 10.0) == 50_000


def test_each_start_begins_anew() -> None:
    life = Life(200_000, rate=50_000.0)
    for _ in range(30):
        life.batch()
    assert life.limit == 200_000
    assert life.ramp.begin() == FIRST
