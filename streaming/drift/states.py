"""What is said of a column, and the memory that keeps one odd window from being called drift."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from schemas.drift import State


class Severity(str, Enum):
    """How large a movement is, whether or not it is beyond chance: the usual words for a stability index."""

    NEGLIGIBLE = "negligible"
    SMALL = "small"
    MODERATE = "moderate"
    LARGE = "large"


MODERATE, LARGE = 0.1, 0.25


def severity(effect: float, negligible: float) -> Severity:
    """Return the word for an effect on the scale of the stability index."""
    if effect < negligible:
        return Severity.NEGLIGIBLE
    if effect < MODERATE:
        return Severity.SMALL
    return Severity.MODERATE if effect < LARGE else Severity.LARGE


@dataclass(frozen=True)
class Patience:
    """Windows running with a signal until it is drift, and without one until drift is over."""

    enter: int = 2
    leave: int = 2


@dataclass(frozen=True)
class Memory:
    """A column's recent past: signals running, windows without one running, and since when (epoch s) it signals."""

    hits: int = 0
    misses: int = 0
    drifting: bool = False
    since: float | None = None

    def next(self, signal: bool, start: float, patience: Patience) -> Memory:
        """Return the memory after a window that began at ``start``."""
        if signal:
            hits = self.hits + 1
            begun = start if self.since is None else self.since
            return Memory(hits, 0, self.drifting or hits >= patience.enter, begun)
        misses = self.misses + 1
        if self.drifting and misses < patience.leave:
            return Memory(0, misses, True, self.since)
        return Memory(0, misses)

    @property
    def state(self) -> State:
        """What the column is called after the last window that had enough rows."""
        if self.drifting:
            return State.DRIFT
        return State.WARNING if self.hits else State.STABLE


def worst(states: list[State]) -> State:
    """Return the window's state; insufficient only if all of its columns are."""
    order = list(State)
    return max(states, key=order.index, default=State.INSUFFICIENT)
