"""The circuit breaker: too large a share of bad rows pauses the job instead of draining a topic into the dead letters.

What is bad about many rows at once is rarely the rows: a producer changed its format, or the wrong version serves.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from streaming.clock import Clock
from streaming.delivery.outcome import Outcome

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Bounds:
    """More than ``share`` of the rows of the last ``seconds`` may not be bad; fewer than ``rows`` prove nothing."""

    share: float
    seconds: float
    rows: int


class PauseListener(Protocol):
    """A listener to pauses: metrics, health, model events. Its methods must be quick."""

    def paused(self, why: str) -> None:
        """No batch is started any more."""
        ...

    def resumed(self) -> None:
        """Batches go on."""
        ...


class BadShare:
    """Rows and dead letters over a sliding window. Rows that an earlier attempt wrote are not counted again."""

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._batches: deque[tuple[datetime, int, Counter[str]]] = deque()

    def add(self, outcome: Outcome) -> str:
        """Count one batch; say what is wrong, or return an empty string."""
        now = self._clock()
        letters = Counter(outcome.dead_letters)
        self._batches.append((now, outcome.predictions + letters.total(), letters))
        while self._batches[0][0] <= now - timedelta(seconds=self._bounds.seconds):
            self._batches.popleft()
        rows = sum(rows for _, rows, _ in self._batches)
        bad = sum((letters for _, _, letters in self._batches), Counter[str]())
        if rows < self._bounds.rows or bad.total() <= self._bounds.share * rows:
            return ""
        return self._sentence(rows, bad)

    def clear(self) -> None:
        """Forget everything."""
        self._batches.clear()

    def _sentence(self, rows: int, bad: Counter[str]) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in bad.most_common(3))
        return (
            f"{bad.total():,} of the last {rows:,} rows became dead letters ({reasons}), which is more than"
            f" engine.max_bad_share ({self._bounds.share:g}) allows. Look at them with penstock dlq list;"
            " penstock resume goes on."
        )


class Breaker:
    """Holds the batch thread between two batches from the batch that passes the bound until :meth:`resume`."""

    def __init__(self, bounds: Bounds, clock: Clock, listeners: Sequence[PauseListener] = ()) -> None:
        self._window = BadShare(bounds, clock)
        self._listeners = listeners
        self._guard = threading.Lock()
        self._running = threading.Event()
        self._running.set()

    def batch_finished(self, outcome: Outcome) -> None:
        """Count a batch that is written and recorded; it may be the last one for now."""
        with self._guard:
            why = self._window.add(outcome)
            if why and self._running.is_set():
                self._running.clear()
                for listener in self._listeners:
                    listener.paused(why)

    @property
    def is_open(self) -> bool:
        """True while no batch may be planned."""
        return not self._running.is_set()

    def wait(self, stopping: threading.Event) -> None:
        """Return when the next batch may be planned, or when the job is asked to stop."""
        while not self._running.is_set() and not stopping.is_set():
            # For a moment at a time, as `stopping` is another event.
            self._running.wait(_POLL_SECONDS)

    def resume(self) -> bool:
        """Go on, with an empty window; false if nothing was paused. From any thread."""
        with self._guard:
            if self._running.is_set():
                return False
            self._window.clear()
            for listener in self._listeners:
                listener.resumed()
            self._running.set()
            return True
