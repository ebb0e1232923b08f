"""A lookup table that a server follows: a thread reads the topic into the file, and those who score read the file.

A stream's batch reads the topic itself, as far as its plan says. A request has no plan and no time for that, so it
takes the table as the thread has read it last.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from streaming.clock import Clock, isoformat, system_clock
from streaming.errors import LookupUnavailableError, PenstockError
from streaming.lookup.entries import Entry
from streaming.lookup.table import LookupTable
from streaming.lookup.table_source import TableSource
from streaming.lookup_breaker import LookupBreaker
from streaming.lookup_state import LookupState
from streaming.settings import LookupSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
"""From one look at the topic to the next."""
_CHUNK_SECONDS = 1.0
"""For one chunk, after which it is seen whether the server stops."""


class FollowerObserver(Protocol):
    """Hears how the table is, on the follower's thread."""

    def lookup_seen(self, problem: str, *, is_open: bool) -> None:
        """See :class:`streaming.engines.lookups.LookupObserver`."""
        ...

    def table_read(self, seconds: float) -> None:
        """The table was read to its end, which took so long."""
        ...


@dataclass(frozen=True)
class FollowedTopic:
    """What following is connected to.

    Attributes:
        settings: the table, and the folder of its file, which is this process's alone.
        ask: returns the state of all that is committed; raises ``PenstockError`` if the topic does not answer.
        source: reads the topic.
        observer: hears how that goes.
        clock: the present time.
    """

    settings: LookupSettings
    ask: Callable[[], LookupState]
    source: TableSource
    observer: FollowerObserver
    clock: Clock = system_clock


@dataclass
class TableFollower:
    """Follows between :meth:`start` and :meth:`stop`."""

    followed: FollowedTopic
    _good: LookupState | None = None
    _read_at: datetime | None = None
    _tables: threading.local = field(default_factory=threading.local)
    """Each thread's own connection to the file, and the keys that it has in memory."""
    _opened: list[LookupTable] = field(default_factory=list)
    _counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Make the thread."""
        self._breaker = LookupBreaker(timedelta(seconds=self.followed.settings.unavailable_after_seconds))
        self._stopping, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookup-table", daemon=True)

    def start(self, seconds: float) -> None:
        """Begin, and wait up to ``seconds`` until the table is read to its present end, or cannot be."""
        self._thread.start()
        self._ready.wait(seconds)

    def stop(self, seconds: float = 10.0) -> None:
        """End, and close the file; no pass may be going on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        while self._opened:
            self._opened.pop().close()

    def state(self, now: datetime) -> LookupState:
        """Return what a pass reads, with ages counted from ``now``.

        Raises:
            LookupUnavailableError: nothing may be answered, as the table is not read yet or cannot be.
        """
        at_ms, problem, is_open = round(now.timestamp() * 1_000), self._breaker.problem, self._breaker.is_open(now)
        if is_open and self.followed.settings.unavailable != "hold":
            return LookupState.unavailable(problem, at_ms)
        # Read once: another thread that cannot read the file takes it away.
        good = self._good
        if not is_open and good is not None:
            return replace(good, at_ms=at_ms)
        raise LookupUnavailableError(
            f"the lookup table cannot be read: {problem}" if problem else "the lookup table is not read to its end yet"
        )

    def entries(self, keys: Sequence[bytes], at: LookupState) -> Sequence[Entry | None]:
        """Return what the file has of distinct keys at a state, or at the newest one if that is gone.

        Raises:
            LookupUnavailableError: the file cannot be read.
        """
        state: LookupState | None = at
        try:
            while state is not None:
                entries = self._own(state).entries_behind(keys, state)
                if entries is not None:
                    return entries
                state = self._good
        except LookupUnavailableError:
            # The thread's next look says whether it is the file's end.
            self._good = None
            raise
        raise LookupUnavailableError("the lookup table's file is read anew")

    def counts(self) -> Mapping[str, float]:
        """Return what was counted since the last call: keys in memory, and keys that were not; for one thread alone."""
        totals = Counter[str]()
        for table in list(self._opened):
            totals.update(table.totals())
        counted, self._counted = self._counted, totals
        return {name: total - counted[name] for name, total in totals.items()}

    def problem(self) -> str:
        """Return why no requests should come; empty where the table is read, or the settings say what to do without."""
        try:
            self.state(self.followed.clock())
        except LookupUnavailableError as problem:
            return str(problem)
        return ""

    def standing(self) -> dict[str, Any]:
        """Return what ``/health`` says of it."""
        good = self._good
        return {
            "offsets": None if good is None else list(good.ends),
            "read_at": None if self._read_at is None else isoformat(self._read_at),
            "problem": self._breaker.problem or None,
        }

    def look(self) -> None:
        """Read the topic to its present end once.

        Raises:
            PenstockError: it cannot be read.
        """
        began, followed = time.monotonic(), self.followed
        state = followed.ask()
        if not self._is_read(self._own(state), state):
            return
        is_first = self._read_at is None
        self._good, self._read_at = state, followed.clock()
        self._breaker.mended()
        followed.observer.lookup_seen("", is_open=False)
        followed.observer.table_read(time.monotonic() - began)
        if is_first:
            _log.info("lookup table read", records=sum(state.ends), seconds=round(time.monotonic() - began, 3))

    def _is_read(self, table: LookupTable, state: LookupState) -> bool:
        """Read up to a state; return False if the server stops meanwhile."""
        remaining, since, patience = -1, time.monotonic(), self.followed.settings.catch_up_seconds
        while (now_remaining := table.read_on(state, _CHUNK_SECONDS)) > 0:
            if self._stopping.is_set():
                return False
            if now_remaining != remaining:
                remaining, since = now_remaining, time.monotonic()
            elif time.monotonic() - since > patience:
                raise LookupUnavailableError(
                    f"no record of the lookup table came for {patience:g} s (lookup.catch_up_seconds), and {remaining}"
                    " are left"
                )
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._breaker.may_ask(self.followed.clock()):
                self._looked()
            self._stopping.wait(LOOK_SECONDS)

    def _looked(self) -> None:
        try:
            self.look()
        except (PenstockError, sqlite3.Error) as problem:
            self._trouble(str(problem))
        # The thread must outlive every surprise, or the server would silently answer by an old table.
        except Exception as problem:
            _log.exception("the lookup table could not be followed")
            self._trouble(repr(problem))
        finally:
            self._ready.set()

    def _trouble(self, problem: str) -> None:
        now, before = self.followed.clock(), self._breaker.problem
        self._breaker.failed(problem, now)
        self.followed.observer.lookup_seen(problem, is_open=self._breaker.is_open(now))
        if problem != before:
            _log.warning("the lookup table cannot be read; for now it stays as it was", problem=problem)

    def _own(self, state: LookupState) -> LookupTable:
        own = self._tables
        if getattr(own, "topic_id", None) != state.topic_id:
            own.table = LookupTable(self.followed.settings, state.topic_id, self.followed.source)
            own.topic_id = state.topic_id
            self._opened.append(own.table)
        table: LookupTable = own.table
        return table
