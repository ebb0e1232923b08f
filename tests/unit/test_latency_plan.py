"""What the benchmark runs: long enough for the live engine's pauses, and nobody always first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency.plan import BOUNDARIES, FAST_RATE, SLOW, VALUES, Effort, Plan, peer_plan, plan, rotated
from benchmarks.latency.system import System, Wiring
from streaming.local.processes import ManagedProcess


@dataclass(frozen=True)
class Idle:
    name: str
    interval_seconds: float = 0.0
    version: str = "1"
    delivery: str = "at-least-once"

    def start(self, wiring: Wiring) -> ManagedProcess:
        return ManagedProcess(self.name, ["true"], log=Path(), environment={})


@given(st.integers(1, 12))
def test_in_as_many_runs_as_systems_each_is_at_each_place_once(count: int) -> None:
    systems: list[System] = [Idle(str(number)) for number in range(count)]
    orders = [rotated(systems, number) for number in range(1, count + 1)]
    for position in range(count):
        assert sorted(order[position].name for order in orders) == sorted(system.name for system in systems)


def test_no_systems_have_an_order_too() -> None:
    assert rotated([], 3) == []


def test_every_run_of_an_engine_that_pauses_has_its_boundaries_in_it() -> None:
    live, effort = Idle("live", interval_seconds=5.0), Effort(seconds=12.0, runs=3)
    plans = [plan(live, number, effort) for number in (1, 2, 3)]
    assert sum(one.loads[0].seconds for one in plans) >= BOUNDARIES * 5.0
    assert {one.loads[0].seconds for one in plans} == {20.0}
    assert all(one.loads[1].seconds > 5.0 for one in plans)
    assert plan(Idle("exact"), 1, effort).loads[0].seconds == 12.0


def test_our_systems_are_measured_at_five_thousand_a_second_too_and_peers_are_not() -> None:
    assert [load.rate for load in plan(Idle("a"), 1, Effort()).loads] == [1_000, FAST_RATE]
    assert [load.rate for load in peer_plan(Idle("a"), 1, Effort()).loads] == [1_000]


def test_fewer_boundaries_may_be_asked_for() -> None:
    (load, _) = plan(Idle("live", interval_seconds=30.0), 1, Effort(runs=1, boundaries=3)).loads
    assert load.seconds == 90.0


@pytest.mark.parametrize("make", [plan, peer_plan], ids=["ours", "a peer"])
@pytest.mark.parametrize("runs", [1, 2, 3, 5])
def test_every_percentile_has_three_values_however_few_the_runs(make: Callable[..., Plan], runs: int) -> None:
    plans = [make(Idle("a"), number, Effort(runs=runs, peer_runs=runs)) for number in range(runs)]
    for loads in zip(*(one.loads for one in plans), strict=True):
        assert sum(load.windows for load in loads) >= VALUES


def test_a_window_of_a_run_that_is_the_only_one_is_as_long_as_a_run() -> None:
    assert [load.seconds for load in plan(Idle("a"), 1, Effort(seconds=8.0, runs=1)).loads] == [24.0, 12.0]


def test_a_slow_system_gets_what_it_can_manage() -> None:
    [(name, part)] = SLOW.items()
    slow, other = (peer_plan(Idle(one), 1, Effort()) for one in (name, "other"))
    assert (slow.backlog * part, slow.burst * part) == (other.backlog, other.burst)


def test_only_the_first_run_searches_for_the_sustainable_rate() -> None:
    searches = [plan(Idle("a"), number, Effort(search=True)).search for number in (1, 2, 3)]
    assert searches == [True, False, False]
