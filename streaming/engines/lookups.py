"""Which state of the lookup table a batch is planned with, and what is done while the table cannot be read.

A circuit breaker: for ``unavailable_after_seconds``, batches go on with the last state that was read; then they are
planned without a table, or wait for it. Meanwhile the table is asked again once in a while, so that not every batch
waits for an answer that does not come. A store has no earlier state to go on with, so batches wait for that long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from streaming.clock import Clock
from streaming.delivery.outcome import Outcome
from streaming.errors import LookupUnavailableError, PenstockError
from streaming.lookup_breaker import LookupBreaker
from streaming.lookup_state import LookupState

_LOOK_SECONDS = 0.2
"""Seconds between two looks of a waiting batch whether the table may be asked again."""


class LookupObserver(Protocol):
    """An observer of the lookup table."""

    def lookup_seen(self, problem: str, *, is_open: bool) -> None:
        """The table was asked for; ``problem`` is empty if it can be read. ``is_open``: batches go on without it."""
        ...


class LookupStates(Protocol):
    """Decides what the batches of one job read of the table; only the batch thread uses it."""

    def planned(self) -> LookupState | None:
        """Return the state for the next batch; ``None`` where nothing is looked up.

        Raises:
            LookupUnavailableError: the job is stopped while a batch waits for the table.
        """
        ...

    def failed(self, reason: str, /) -> None:
        """Note that workers could not read the state that was planned last."""
        ...

    def has(self, state: LookupState, /) -> bool:
        """Return whether a state that was planned earlier is one of the table that is looked up in now."""
        ...


class NoLookups:
    """The :class:`LookupStates` of a job that looks nothing up."""

    def planned(self) -> None:
        """Return nothing."""

    def failed(self, reason: str, /) -> None:
        """Raise, as nothing can have failed."""
        raise AssertionError(f"a job that looks nothing up could not look up: {reason}")

    def has(self, state: LookupState) -> bool:  # noqa: ARG002 - there is no table
        """Return false."""
        return False


@dataclass(frozen=True)
class LookupPatience:
    """How long batches go on with the last state (``after``), and whether they then wait for the table (``hold``).

    ``store`` names what is asked in the place of a topic (:attr:`streaming.lookup_state.LookupState.store`).
    """

    after: timedelta
    hold: bool
    store: str = ""


class FollowedTable:
    """The :class:`LookupStates` of a topic or a store."""

    def __init__(
        self,
        ask: Callable[[], LookupState],
        patience: LookupPatience,
        observer: LookupObserver,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        """Take what gives the table's state now; it raises ``PenstockError`` if the table does not answer."""
        self._ask = ask
        self._patience = patience
        self._observer = observer
        self._clock = clock
        self._stopping = stopping
        self._good: LookupState | None = None
        self._tried: LookupState | None = None
        self._breaker = LookupBreaker(patience.after)

    def planned(self) -> LookupState:
        """See :class:`LookupStates`."""
        if self._tried is not None:
            # The batch with it is written, so workers could read it, too.
            self._good, self._tried = None if self._patience.store else self._tried, None
            self._mend()
        while True:
            now = self._clock()
            state = self._asked(now) or self._without_answer(now)
            if state is not None:
                return replace(state, at_ms=round(now.timestamp() * 1_000))
            if self._stopping.wait(_LOOK_SECONDS):
                problem = self._breaker.problem
                raise LookupUnavailableError(f"the job stops while a batch waits for the lookup table: {problem}")

    def failed(self, reason: str) -> None:
        """See :class:`LookupStates`."""
        if self._tried is None:
            # It was the last good state, and it is good no longer; without it, batches wait.
            self._good = None
        self._tried = None
        self._trouble(reason, self._clock())

    def has(self, state: LookupState) -> bool:
        """See :class:`LookupStates`."""
        return bool(state.outage) or state.store == self._patience.store

    def _asked(self, now: datetime) -> LookupState | None:
        if not self._breaker.may_ask(now):
            return None
        try:
            self._tried = self._ask()
        except PenstockError as problem:
            self._trouble(str(problem), now)
        return self._tried

    def _without_answer(self, now: datetime) -> LookupState | None:
        """Return the state to go on with; ``None`` to wait for the table."""
        if not self._breaker.is_open(now):
            return self._good
        return None if self._patience.hold else LookupState.unavailable(self._breaker.problem, 0)

    def _trouble(self, problem: str, now: datetime) -> None:
        self._breaker.failed(problem, now)
        self._observer.lookup_seen(problem, is_open=self._breaker.is_open(now))

    def _mend(self) -> None:
        self._breaker.mended()
        self._observer.lookup_seen("", is_open=False)


def require_lookups(outcomes: Iterable[Outcome]) -> None:
    """Raise what a task said that could not read the planned state of the lookup table."""
    for outcome in outcomes:
        if outcome.error == LookupUnavailableError.__name__:
            raise LookupUnavailableError(outcome.detail)
