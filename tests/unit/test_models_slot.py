"""The slot: one reference, leases that keep a version alive, one release each."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streaming.errors import CandidateRefusedError, ModelNotFoundError
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.models.signature import Signature
from streaming.models.slot import Slot
from tests.support.versions import FakeScorer, fake_served, flights


def served(version: int) -> ServedModel:
    root = Path("model")
    package = ModelPackage(ModelVersion("flights", version), root, root / "sparkml", "0" * 64, Signature(()))
    return fake_served(package)


def releases(model: ServedModel) -> int:
    assert isinstance(model.scorer, FakeScorer)
    return model.scorer.releases


def prove(slot: Slot) -> None:
    with slot.lease():
        pass


def test_a_lease_before_the_first_version_says_that_none_is_loaded() -> None:
    with pytest.raises(ModelNotFoundError, match="no model version is loaded"), Slot().lease():
        pass


def test_a_batch_keeps_its_version_while_the_slot_swaps() -> None:
    slot, old, new = Slot(), served(1), served(2)
    slot.swap(old)
    with slot.lease() as leased:
        assert slot.swap(new) is old
        assert leased is old
        assert releases(old) == 0
        with slot.lease() as next_batch:
            assert next_batch is new
    assert releases(old) == 1


def test_the_version_before_is_kept_for_rolling_back_only_if_it_finished_a_batch() -> None:
    slot, first, unproven, third = Slot(), served(1), served(2), served(3)
    slot.swap(first)
    prove(slot)
    slot.swap(unproven)
    slot.swap(third)
    assert slot.last_good() is first
    assert (releases(first), releases(unproven)) == (0, 1)


def test_a_batch_that_fails_proves_nothing() -> None:
    slot = Slot()
    slot.swap(served(1))
    with pytest.raises(ValueError, match="boom"), slot.lease():
        raise ValueError("boom")
    slot.swap(served(2))
    assert slot.last_good() is None


def test_rolling_back_serves_the_last_good_version_and_holds_the_failed_one() -> None:
    slot, good, failed = Slot(), served(1), served(2)
    slot.swap(good)
    prove(slot)
    slot.swap(failed)
    assert slot.roll_back(flights(2)) is good
    assert slot.current() is good
    assert releases(failed) == 1
    with pytest.raises(CandidateRefusedError, match="HELD"):
        slot.swap(served(2))
    assert slot.current() is good


def test_rolling_back_leaves_a_version_alone_that_has_taken_over_meanwhile() -> None:
    slot, third = Slot(), served(3)
    slot.swap(served(2))
    slot.swap(third)
    assert slot.roll_back(flights(2)) is third
    assert slot.held == {flights(2)}


def test_rolling_back_with_nothing_to_go_back_to_changes_nothing() -> None:
    slot, only = Slot(), served(1)
    slot.swap(only)
    assert slot.roll_back(flights(1)) is None
    assert slot.current() is only
    assert slot.held == frozenset()


def test_a_planned_version_can_be_leased_while_it_is_the_last_good_one() -> None:
    slot, old = Slot(), served(1)
    slot.swap(old)
    prove(slot)
    slot.swap(served(2))
    with slot.lease(flights(1)) as leased:
        assert leased is old
    with pytest.raises(ModelNotFoundError, match="flights/7 is not loaded"), slot.lease(flights(7)):
        pass


def test_waiting_ends_with_the_first_swap() -> None:
    slot, model = Slot(), served(1)
    assert slot.wait(0.01) is None
    timer = threading.Timer(0.02, slot.swap, [model])
    timer.start()
    assert slot.wait(5) is model
    timer.join()


class SlotLaws(RuleBasedStateMachine):
    """Any order of swaps, leases, failures, rollbacks and holds."""

    def __init__(self) -> None:
        super().__init__()
        self.slot = Slot()
        self.made: list[ServedModel] = []
        self.leases: list[tuple[ServedModel, AbstractContextManager[ServedModel]]] = []

    @rule()
    def swap(self) -> None:
        self.made.append(served(len(self.made) + 1))
        self.slot.swap(self.made[-1])

    @precondition(lambda self: self.slot.current() is not None)
    @rule()
    def lease(self) -> None:
        lease = self.slot.lease()
        self.leases.append((lease.__enter__(), lease))

    @precondition(lambda self: self.leases)
    @rule(position=st.integers(0, 10), fails=st.booleans())
    def end_lease(self, position: int, fails: bool) -> None:
        _, lease = self.leases.pop(position % len(self.leases))
        problem = ValueError("a failed batch")
        if not fails:
            lease.__exit__(None, None, None)
            return
        # A context manager that does not raise what it was given lets it through.
        with suppress(ValueError):
            lease.__exit__(ValueError, problem, None)

    @precondition(lambda self: self.made)
    @rule(back=st.integers(0, 3))
    def roll_back(self, back: int) -> None:
        self.slot.roll_back(flights(max(1, len(self.made) - back)))

    @invariant()
    def nothing_in_use_is_released_and_nothing_twice(self) -> None:
        kept = [self.slot.current(), self.slot.last_good(), *(model for model, _ in self.leases)]
        for model in self.made:
            assert releases(model) == (0 if any(model is k for k in kept) else 1)

    @precondition(lambda self: len(self.made) > 1)
    @rule(back=st.integers(1, 3))
    def hold_an_older_one(self, back: int) -> None:
        version = flights(max(1, len(self.made) - back))
        current = self.slot.current()
        if current is not None and current.key != version:
            self.slot.hold(version)

    @invariant()
    def what_is_kept_for_rolling_back_is_not_on_hold(self) -> None:
        good = self.slot.last_good()
        assert good is None or good.key not in self.slot.held

    @invariant()
    def what_serves_is_not_on_hold(self) -> None:
        current = self.slot.current()
        assert current is None or current.key not in self.slot.held


TestSlotLaws = SlotLaws.TestCase
