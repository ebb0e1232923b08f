"""Being asked to stop: the job finishes its batch within a bound; a second signal ends the process now."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_POLITELY = 0
"""A request that came by another way than a signal. However often it comes, it never ends the process."""


class StopRequest:
    """Remembers that somebody asked to stop, and sees to it that the process ends.

    Ending as it is, at the second signal or at the bound, is safe: what is not committed is done at the next start.
    """

    def __init__(self, seconds: float | None, end: Callable[[int], object] = os._exit) -> None:
        """Begin to listen for :meth:`ask`; signals need :meth:`listen`.

        Args:
            seconds: from the first request to the end of the process, at the latest; ``None`` sets no bound.
            end: ends the process at once with an exit code.
        """
        self.asked = threading.Event()
        self._seconds = seconds
        self._end = end
        # A handler may interrupt its own thread anywhere, so it must take no lock; this queue's put takes none.
        self._requests: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="stopping", daemon=True).start()

    def listen(self) -> None:
        """Take SIGTERM and Ctrl-C."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def ask(self) -> None:
        """Ask to stop, from any thread."""
        self._requests.put(_POLITELY)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._requests.put(number)

    def _run(self) -> None:
        number = self._requests.get()
        asked_at = time.monotonic()
        self.asked.set()
        signals = int(number != _POLITELY)
        while signals < 2:
            left = None if self._seconds is None else max(0.0, asked_at + self._seconds - time.monotonic())
            try:
                number = self._requests.get(timeout=left)
            except queue.Empty:
                _log.error(
                    "the batch did not end in time, so the process ends without it; it is done again at the next start",
                    stop_seconds=self._seconds,
                )
                self._end(1)
                return
            signals += number != _POLITELY
        self._end(128 + number)


@contextmanager
def children_ignore_signals() -> Iterator[None]:
    """Let processes started inside ignore SIGTERM and SIGINT.

    A signal to the whole group must not end Spark's JVM under the batch that this process is about to finish. The JVM
    ends with this process, whose pipe it watches.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
