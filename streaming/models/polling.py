"""The thread of a follower: a turn whenever a pause is over or somebody wakes it, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class PollingThread:
    """Takes turns between :meth:`start` and :meth:`end`; ``stopping`` is set by the latter."""

    def __init__(self, pause: Callable[[], float], turn: Callable[[bool], object], trouble: str) -> None:
        """Prepare it.

        Args:
            pause: returns the seconds from now to the next turn.
            turn: takes whether somebody has asked for this turn.
            trouble: what the log says of a turn that fails unexpectedly.
        """
        self.stopping = threading.Event()
        self._pause, self._turn, self._trouble = pause, turn, trouble
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="model-follower", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Take no further turn; one that is under way goes on."""
        self.stopping.set()
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for a turn that is under way."""
        if self._thread is not None:
            self._thread.join(timeout)

    def wake(self) -> None:
        """Take a turn now; returns at once, and any number of calls make one turn."""
        self._wake.set()

    def _run(self) -> None:
        while not self.stopping.is_set():
            woken = self._wake.wait(self._pause())
            self._wake.clear()
            if self.stopping.is_set():
                return
            try:
                self._turn(woken)
            except Exception:  # the thread must outlive every surprise, or the job would silently stop following
                _log.exception(self._trouble)
