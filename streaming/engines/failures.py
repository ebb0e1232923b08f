"""How often a query may fail, and how long to wait before it is started again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from streaming.errors import UpstreamError
from streaming.spark.causes import is_broker_trouble

_LONGEST_PAUSE = 60.0


class FailureObserver(Protocol):
    """Observer of a query's failures."""

    def query_failed(self, problem: str, pause: float) -> None:
        """A query failed and is started again after ``pause`` seconds."""
        ...


class QueryObserver(FailureObserver, Protocol):
    """Observer of a query's starts and failures."""

    def query_started(self) -> None:
        """A query runs."""
        ...


@dataclass(frozen=True)
class Restarts:
    """The first pause in seconds, which doubles up to a minute, and how many failures in a row end the query."""

    pause: float
    most: int


def last_of(times: int, problem: Exception) -> Exception:
    """Return what ends a job whose query failed ``times`` in a row, the last time by ``problem``.

    Only a service that does not answer is the service's fault. An error of Penstock's own keeps its exit code, and any
    other stays what it is, to be reported with its trace.
    """
    if is_broker_trouble(problem):
        return UpstreamError(f"the query failed {times} times in a row; the last time: {problem}")
    return problem


class Failures:
    """Counts failures in a row."""

    def __init__(self, restarts: Restarts, observer: FailureObserver, stopping: threading.Event) -> None:
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
            Exception: these were too many; see :func:`last_of`.
        """
        self._count += 1
        if self._count > self._restarts.most:
            raise last_of(self._count, problem) from problem
        pause = min(self._restarts.pause * 2 ** (self._count - 1), _LONGEST_PAUSE)
        self._observer.query_failed(str(problem), pause)
        self._stopping.wait(pause)
