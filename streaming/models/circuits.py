"""The circuits of versions: one opens when batches keep failing, and lets one through now and then to try it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol, TypeVar

from streaming.clock import Clock
from streaming.models.ref import ModelKey, ModelVersion

T = TypeVar("T")


class CircuitState(str, Enum):
    """A circuit says whether a version is asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """The next batch decides: it closes the circuit, or opens it again."""


@dataclass(frozen=True)
class CircuitPolicy:
    """``open_after`` failed batches in a row open a circuit, and ``pause_seconds`` later one batch tries again.

    A batch that takes longer than ``batch_seconds`` has failed.
    """

    open_after: int
    pause_seconds: float
    batch_seconds: float | None = None


class Circuit:
    """The circuit of one version; one thread at a time uses it."""

    def __init__(self, policy: CircuitPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._opened: datetime | None = None
        self.state = CircuitState.CLOSED
        self.reason = ""
        """Why the last batch failed, as a code."""

    def admits(self) -> bool:
        """Return whether the version may have the next batch; a pause that is over makes the circuit half-open."""
        pause = timedelta(seconds=self._policy.pause_seconds)
        if self._opened is not None and self._clock() - self._opened >= pause:
            self._opened, self.state = None, CircuitState.HALF_OPEN
        return self.state is not CircuitState.OPEN

    def failed(self, reason: str) -> None:
        """Count a batch that the version could not answer."""
        self.reason = reason
        self._failures += 1
        if self.state is CircuitState.HALF_OPEN or self._failures >= self._policy.open_after:
            self._opened, self.state = self._clock(), CircuitState.OPEN

    def succeeded(self) -> None:
        """Close: the version has answered a batch."""
        self._failures, self._opened, self.state = 0, None, CircuitState.CLOSED


class CircuitObserver(Protocol):
    """Hears of circuits, on the thread that moves them."""

    def circuit_moved(self, version: ModelVersion, state: str, reason: str) -> None:
        """A version's circuit has another :class:`CircuitState`; ``reason`` is why its last batch failed."""
        ...


class Circuits:
    """The circuits of a chain's versions, each closed at first; one thread at a time uses them."""

    def __init__(self, policy: CircuitPolicy, clock: Clock, observer: CircuitObserver) -> None:
        self.policy = policy
        self._clock = clock
        self._observer = observer
        self._by_version: dict[ModelKey, Circuit] = {}

    def get(self, key: ModelKey) -> Circuit | None:
        """Return the circuit of a version; ``None`` where nothing has happened to it."""
        return self._by_version.get(key)

    def state(self, key: ModelKey) -> CircuitState:
        """Return the state of a version's circuit."""
        circuit = self.get(key)
        return CircuitState.CLOSED if circuit is None else circuit.state

    def move(self, version: ModelVersion, move: Callable[[Circuit], T]) -> T:
        """Do something to a version's circuit, and tell the observer if that changes its state."""
        circuit = self._by_version.setdefault(version.key, Circuit(self.policy, self._clock))
        before = circuit.state
        outcome = move(circuit)
        if circuit.state is not before:
            self._observer.circuit_moved(version, circuit.state.value, circuit.reason)
        return outcome

    def forget(self, version: ModelVersion) -> None:
        """Close a version's circuit, as at the beginning."""
        self.move(version, Circuit.succeeded)
        del self._by_version[version.key]
