"""The circuit breaker of the lookup table: the last state for a while, then none, and back once the table answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from streaming.engines.lookups import FollowedTable, LookupPatience, LookupStates, NoLookups
from streaming.errors import LookupUnavailableError
from streaming.lookup_state import REDIS, LookupState
from streaming.testing import ManualClock

AFTER = timedelta(seconds=30)


@dataclass
class Scene:
    """A table that answers or not, and what was heard of it."""

    clock: ManualClock = field(default_factory=ManualClock)
    problem: str = ""
    offset: int = 0
    asked: int = 0
    heard: list[tuple[str, bool]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> LookupState:
        self.asked += 1
        if self.problem:
            raise LookupUnavailableError(self.problem)
        self.offset += 1
        return LookupState("id", (self.offset,), 0)

    def lookup_seen(self, problem: str, *, is_open: bool) -> None:
        self.heard.append((problem, is_open))

    def ask_store(self) -> LookupState:
        return replace(self.ask(), store=REDIS)

    def table(self, *, hold: bool = False) -> FollowedTable:
        return FollowedTable(self.ask, LookupPatience(AFTER, hold), self, self.clock, self.stopping)

    def store(self) -> FollowedTable:
        patience = LookupPatience(AFTER, hold=False, store=REDIS)
        return FollowedTable(self.ask_store, patience, self, self.clock, self.stopping)

    @property
    def now_ms(self) -> int:
        return round(self.clock().timestamp() * 1_000)


def turning(scene: Scene, seconds: float, then: Callable[[], None] = lambda: None) -> Callable[[float], bool]:
    """Return a wait that turns the clock instead, and calls ``then`` each time."""

    def wait(_: float) -> bool:
        scene.clock.advance(seconds)
        then()
        return scene.stopping.is_set()

    return wait


def test_each_batch_reads_the_table_as_it_is_when_it_is_planned() -> None:
    scene = Scene()
    table = scene.table()
    assert table.planned() == LookupState("id", (1,), scene.now_ms)
    scene.clock.advance(1)
    assert table.planned() == LookupState("id", (2,), scene.now_ms)
    assert scene.heard == [("", False)]


def test_an_outage_keeps_the_last_state_for_its_bound_then_opens_and_closes_with_the_next_written_batch() -> None:
    scene = Scene()
    table = scene.table()
    table.planned()
    scene.problem = "no answer"
    assert table.planned().ends == (1,)
    asked = scene.asked
    assert table.planned().ends == (1,)
    assert scene.asked == asked, "the table is left alone for a while"
    scene.clock.advance(31)
    state = table.planned()
    assert (state.outage, state.ends) == ("no answer", ())
    assert scene.heard[-1] == ("no answer", True)
    scene.problem = ""
    scene.clock.advance(120)
    assert table.planned().ends == (2,)
    table.planned()
    assert scene.heard[-1] == ("", False)


def test_what_workers_cannot_read_counts_as_an_outage_although_the_broker_answers() -> None:
    scene = Scene()
    table = scene.table()
    table.planned()
    assert table.planned().ends == (2,)
    table.failed("the disk is full")
    assert table.planned().ends == (1,)
    for _ in range(4):
        scene.clock.advance(20)
        if table.planned().ends == (scene.offset,):
            table.failed("the disk is full")
    assert table.planned().outage == "the disk is full"


def test_without_any_state_yet_the_first_batch_waits_for_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(problem="no answer")
    table = scene.table()
    monkeypatch.setattr(scene.stopping, "wait", turning(scene, 10))
    began = scene.clock()
    assert table.planned().outage == "no answer"
    assert scene.clock() - began >= AFTER


def test_a_batch_that_holds_waits_until_the_table_answers_or_the_job_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(problem="no answer")
    table = scene.table(hold=True)

    def mend() -> None:
        if scene.asked > 3:
            scene.problem = ""

    monkeypatch.setattr(scene.stopping, "wait", turning(scene, 40, mend))
    assert table.planned().ends == (1,)
    scene.problem = "gone again"
    scene.clock.advance(1)
    table.planned()
    monkeypatch.setattr(scene.stopping, "wait", turning(scene, 40, scene.stopping.set))
    scene.clock.advance(60)
    with pytest.raises(LookupUnavailableError, match=r"the job stops while.*gone again"):
        table.planned()


def test_a_store_has_no_last_state_so_batches_wait_for_the_bound_and_then_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    table = scene.store()
    assert table.planned().store == REDIS
    table.planned()
    scene.problem = "no answer"
    monkeypatch.setattr(scene.stopping, "wait", turning(scene, 10))
    began = scene.clock()
    assert table.planned().outage == "no answer"
    assert scene.clock() - began >= AFTER
    scene.problem = ""
    scene.clock.advance(120)
    assert table.planned().store == REDIS


def test_a_plan_keeps_its_state_unless_columns_are_now_looked_up_elsewhere() -> None:
    of_topic, of_store = LookupState("id", (1,), 0), LookupState.of_store(REDIS)
    outage = LookupState.unavailable("no answer", 0)
    assert [Scene().table().has(state) for state in (of_topic, of_store, outage)] == [True, False, True]
    assert [Scene().store().has(state) for state in (of_topic, of_store, outage)] == [False, True, True]


@pytest.mark.parametrize("state", [LookupState("id", (1, 2), 3), LookupState.of_store(REDIS)], ids=["topic", "store"])
def test_a_state_is_read_back_from_its_plan_as_it_was(state: LookupState) -> None:
    assert LookupState.from_dict(state.to_dict()) == state


def test_a_job_that_looks_nothing_up_plans_no_state() -> None:
    states: LookupStates = NoLookups()
    assert states.planned() is None
    with pytest.raises(AssertionError):
        NoLookups().failed("what")
