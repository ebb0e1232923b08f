"""The account of what was sent and what came out, and when each record of a load is due."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.accounting.account import Account, balance
from streaming.accounting.load import NANOSECONDS, DueTimes

places = st.tuples(st.integers(0, 3), st.integers(0, 50))
names = st.integers(0, 9)


@given(published=st.sets(places), extra=st.lists(places))
def test_what_is_published_and_read_once_balances_and_every_extra_record_is_counted(
    published: set[tuple[int, int]], extra: list[tuple[int, int]]
) -> None:
    dead = sorted(published)[::3]
    predictions = sorted(published - set(dead))
    assert Account.of(published, predictions, dead).balanced
    account = Account.of(published, [*predictions, *extra], dead)
    assert account.missing == 0
    assert account.duplicates + account.unexpected == len(extra)


@given(published=st.sets(places, min_size=1), data=st.data())
def test_an_event_that_came_out_nowhere_is_missing(published: set[tuple[int, int]], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(sorted(published)))
    account = Account.of(published, sorted(published - {lost}), [])
    assert (account.missing, account.duplicates, account.balanced) == (1, 0, False)


def test_an_event_that_is_a_prediction_and_a_dead_letter_is_a_duplicate() -> None:
    assert Account.of([(0, 1)], [(0, 1)], [(0, 1)]).duplicates == 1


@given(sent=st.sets(names), results=st.lists(names))
def test_a_balance_names_what_is_missing_repeated_and_unexpected_and_how_often(
    sent: set[int], results: list[int]
) -> None:
    balanced = balance(sent, results)
    assert balanced.missing == {name for name in sent if name not in results}
    assert balanced.repeated == {name: results.count(name) - 1 for name in results if results.count(name) > 1}
    assert balanced.unexpected == Counter(name for name in results if name not in sent)


@given(st.integers(1, 200_000), st.integers(0, 10_000_000))
def test_due_times_never_drift_from_their_rate(rate: int, number: int) -> None:
    exact = 5 * NANOSECONDS + number * NANOSECONDS / rate
    assert DueTimes(5 * NANOSECONDS, rate).due(number) == pytest.approx(exact, abs=2, rel=1e-15)


@pytest.mark.parametrize("rate", [pytest.param(0, id="all at once"), pytest.param(10, id="overdue")])
def test_what_is_due_is_not_waited_for_and_its_lateness_is_told(rate: int) -> None:
    start = time.monotonic_ns() - 10 * NANOSECONDS
    late = DueTimes(start, rate).wait(3, NANOSECONDS, lambda: pytest.fail("nothing to wait for"))
    assert 9 * NANOSECONDS < late < 60 * NANOSECONDS


def test_an_event_is_waited_for_until_it_is_due_and_never_sent_before() -> None:
    calls: list[None] = []
    times = DueTimes(time.monotonic_ns(), 100)
    assert [times.wait(number, 0, lambda: calls.append(None)) >= 0 for number in (1, 2)] == [True, True]
    assert len(calls) == 2
