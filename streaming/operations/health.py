"""Liveness and readiness of the job, from what the query and the slot last reported; and of a process that looks.

Silence on the topic is not death: an idle query reports that it is idle, and that counts like a batch.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from streaming.clock import Clock
from streaming.models.slot import Slot

_STUCK = 2
"""Failures in a row; a single one is a hiccup."""


@dataclass(frozen=True)
class HealthVerdict:
    """The answer to a probe, in sentences: ``reasons`` are empty if all is well, ``notes`` are good to know."""

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.reasons


class Health:
    """The job's health: set by the query's thread, read by the HTTP server's."""

    def __init__(self, slot: Slot, clock: Clock, stale_seconds: float = 60.0) -> None:
        """Begin not ready.

        Args:
            slot: Holds the serving version.
            clock: The present time.
            stale_seconds: Without a batch or a word of idleness for this long, the query counts as stuck.
        """
        self._slot = slot
        self._clock = clock
        self._stale = timedelta(seconds=stale_seconds)
        self._guard = threading.Lock()
        self._sign_of_life: datetime | None = None
        self._down = "the query has not started yet"
        self._failures = 0
        self._cause = ""
        self._fatal = ""
        self._paused = ""
        self._outputs = ""
        self._lookup = ""
        self._notes: tuple[str, ...] = ()

    def query_started(self) -> None:
        """A query runs."""
        with self._guard:
            self._down = ""
            self._sign_of_life = self._clock()

    def query_progressed(self) -> None:
        """A batch finished, or the query said that there was nothing to do."""
        with self._guard:
            self._sign_of_life = self._clock()
            # Not when the query starts: it may fail at the same place again.
            self._failures = 0

    def query_failed(self, why: str, pause: float) -> None:
        """The query failed and starts again in ``pause`` seconds; until a batch finishes, it may fail again."""
        with self._guard:
            self._failures += 1
            self._cause = why
            self._down = f"the query failed and starts again in {pause:.0f} s: {why}"

    def query_stopped(self, why: str) -> None:
        """The query does not run, for now."""
        with self._guard:
            self._down = why

    def paused(self, why: str) -> None:
        """Note that no batch is started for now; an empty ``why`` ends that."""
        with self._guard:
            self._paused = why
            self._sign_of_life = self._clock()

    def outputs(self, why: str) -> None:
        """Note that the outputs' topics are not as they must be; an empty ``why`` ends that."""
        with self._guard:
            self._outputs = why

    def lookup(self, why: str) -> None:
        """Note that the table of looked-up columns cannot be read; an empty ``why`` ends that."""
        with self._guard:
            self._lookup = why

    def note(self, text: str) -> None:
        """Add a note that ``/readyz`` shows from now on. It does not make the job less ready."""
        with self._guard:
            if text not in self._notes:
                self._notes = (*self._notes, text)

    def failed(self, why: str) -> None:
        """Note that the job cannot go on; only a new process can."""
        with self._guard:
            self._fatal = why

    def live(self) -> HealthVerdict:
        """Answer ``/livez``: not whether things go well, but whether a new process is the only remedy."""
        with self._guard:
            return HealthVerdict((self._fatal,)) if self._fatal else HealthVerdict()

    def outputs_problem(self) -> str:
        """Return the last argument of :meth:`outputs`."""
        with self._guard:
            return self._outputs

    def lookup_problem(self) -> str:
        """Return the last argument of :meth:`lookup`."""
        with self._guard:
            return self._lookup

    def ready(self) -> HealthVerdict:
        """Answer ``/readyz``: the query runs, gets on, can write and is not paused, a version serves, it lives.

        A table of looked-up columns that cannot be read makes it unready, too.
        """
        with self._guard:
            topics = (self._outputs, self._lookup)
            reasons = (self._fatal, *topics, self._down, self._stuck(), self._paused, self._model(), self._age())
            return HealthVerdict(tuple(reason for reason in reasons if reason), self._notes)

    def _model(self) -> str:
        return "" if self._slot.current() else "no model version is loaded yet"

    def _stuck(self) -> str:
        """Return why the job counts as stuck, empty if it does not. A finished batch clears that."""
        # A query that fails once and recovers is no reason to take the job out of service.
        if self._failures < _STUCK:
            return ""
        return f"the query has failed {self._failures} times without a finished batch; the last time: {self._cause}"

    def _age(self) -> str:
        if self._down or self._paused or self._sign_of_life is None:
            return ""
        silent = self._clock() - self._sign_of_life
        if silent <= self._stale:
            return ""
        return f"no batch and no word of idleness for {silent.total_seconds():.0f} s"


class LookHealth:
    """The health of a process that looks at its topics again and again: set by its thread, read by the server's."""

    def __init__(self, clock: Clock, stale_seconds: float) -> None:
        """Begin not ready.

        Args:
            clock: The present time.
            stale_seconds: Without a finished look for this long, the process is not ready.
        """
        self._clock = clock
        self._stale = timedelta(seconds=stale_seconds)
        self._guard = threading.Lock()
        self._looked_at: datetime | None = None
        self._problem = "no look at the topics has ended yet"

    def looked(self) -> None:
        """A look ended well."""
        with self._guard:
            self._looked_at, self._problem = self._clock(), ""

    def failed(self, why: str) -> None:
        """A look failed; the next one may not."""
        with self._guard:
            self._problem = f"the last look failed: {why}"

    def live(self) -> HealthVerdict:
        """Answer ``/livez``: a process that cannot look tries again by itself, so a new one is no remedy."""
        return HealthVerdict()

    def ready(self) -> HealthVerdict:
        """Answer ``/readyz``: the last look ended well, and not long ago."""
        with self._guard:
            problem, looked_at = self._problem, self._looked_at
        age = None if looked_at is None else self._clock() - looked_at
        if not problem and age is not None and age > self._stale:
            problem = f"the last look ended {age.total_seconds():.0f} s ago"
        return HealthVerdict((problem,) if problem else ())
