"""How often a query may fail, and how long to wait before it is started again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from streaming.errors import UpstreamError

_LONGEST_PAUSE = 60.0


class QueryObserver(Protocol):
    """Who wants to know how the query fares."""

    def query_started(self) -> None:
        """A query runs."""
        ...

    def query_failed(self, problem: str, pause: float) -> None:
        """A query failed and is started again after ``pause`` seconds."""
        ...


@dataclass(frozen=True)
class Restarts:
    """First pause in seconds, doubled each time up to a minute; ``most`` failures without a finished batch end it."""

    pause: float
    most: int


class Failures:
    """Counts failures in a row."""

    def __init__(self, restarts: Restarts, observer: QueryObserver, stopping: threading.Event) -> None:
        self._restarts = restarts
        self._observer = observer
        self._stopping = stopping
        self._count = 0

    def clear(self) -> None:
        """A batch has finished."""
        self._count = 0

    def note(self, problem: Exception) -> None:
        """Count one, and wait before the next start, or until the job is asked to stop.

        Raises:
            UpstreamError: these were too many.
        """
        self._count += 1
        if self._count > self._restarts.most:
            raise UpstreamError(f"the query failed {self._count} times in a row; the last time: {problem}")
        pause = min(self._restarts.pause * 2 ** (self._count - 1), _LONGEST_PAUSE)
        self._observer.query_failed(str(problem), pause)
        self._stopping.wait(pause)
