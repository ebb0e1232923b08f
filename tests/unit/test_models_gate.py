"""The gate: those who are told hear of nothing while a driver stands by, and of what serves when it becomes active."""

from __future__ import annotations

from dataclasses import replace

from schemas.model_event import Actor, EventType, ModelEvent
from streaming.models.gate import Gate

SWAP = ModelEvent(EventType.SWAP, "app", "flights", "flights@champion", Actor.FOLLOWER, "2026-01-01T00:00:00.000Z")


class Ear:
    """A sink that remembers, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.heard: list[ModelEvent] = []

    def send(self, event: ModelEvent) -> None:
        if self.fails:
            raise OSError("deaf")
        self.heard.append(event)


def swap(before: int | None, after: int) -> ModelEvent:
    return replace(SWAP, from_version=before, to_version=after)


def test_what_happens_on_a_standby_is_heard_by_nobody() -> None:
    ear = Ear()
    gate = Gate([ear])
    for event in (swap(None, 1), replace(SWAP, type=EventType.REFUSAL), swap(1, 2)):
        gate.send(event)
    assert ear.heard == []
    assert not gate.is_open


def test_on_opening_the_version_that_serves_is_announced_as_the_first_of_this_driver() -> None:
    ear = Ear()
    gate = Gate([ear])
    for event in (swap(None, 1), swap(1, 2), replace(SWAP, type=EventType.REGISTRY_DOWN)):
        gate.send(event)
    gate.open()
    assert ear.heard == [swap(None, 2)]
    assert gate.is_open


def test_an_open_gate_passes_everything_on() -> None:
    ear = Ear()
    gate = Gate([ear])
    gate.open()
    events = [swap(1, 2), replace(SWAP, type=EventType.REFUSAL)]
    for event in events:
        gate.send(event)
    assert ear.heard == events


def test_one_who_fails_does_not_keep_the_event_from_the_next() -> None:
    ear = Ear()
    gate = Gate([Ear(fails=True), ear])
    gate.send(swap(None, 1))
    gate.open()
    gate.send(swap(1, 2))
    assert ear.heard == [swap(None, 1), swap(1, 2)]
