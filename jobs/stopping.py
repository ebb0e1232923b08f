"""SIGTERM and Ctrl-C: the first asks the job to finish its batch, the second ends the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Remembers that somebody asked to stop, from before there is anything to stop until the job has ended."""

    def __init__(self) -> None:
        self._asked = False
        self._stop: Callable[[], None] | None = None

    def listen(self) -> None:
        """Take both signals."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def then(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` when asked, or now if somebody has asked already."""
        self._stop = stop
        if self._asked:
            stop()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        if self._stop is not None:
            self._stop()


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
