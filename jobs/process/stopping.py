"""Requests to stop: the job finishes its batch within a bound. A second signal ends the process at once."""

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

from streaming.errors import UpstreamError

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_POLITELY = 0
"""A request that came by another way than a signal. However often it comes, it never ends the process."""


class StopRequest:
    """Remembers a request to stop, and makes sure that the process ends.

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
        # A daemon, so that a job that ends by itself does not wait for a signal.
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
            remaining = None if self._seconds is None else max(0.0, asked_at + self._seconds - time.monotonic())
            try:
                number = self._requests.get(timeout=remaining)
            except queue.Empty:
                _log.error(
                    "the batch did not end in time, so the process ends without it; it is done again at the next start",
                    stop_seconds=self._seconds,
                )
                # Nothing is lost: the batch is not committed, so the next start does it again.
                self._end(1)
                return
            signals += number != _POLITELY
        self._end(128 + number)


@contextmanager
def unless_asked(stopping: StopRequest) -> Iterator[None]:
    """Ignore a service that does not answer if the job was asked to stop while it waited."""
    try:
        yield
    except UpstreamError as problem:
        if not stopping.asked.is_set():
            raise
        _log.warning("stopped while a service did not answer", problem=str(problem))


@contextmanager
def ending_in_order() -> Iterator[None]:
    """End the block at a first SIGTERM as an exception does, with 143, so that everything open is closed.

    A verb that finishes its work when it is asked to stop takes the signal for itself, by :meth:`StopRequest.listen`.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the second one does not wait for anything
        raise SystemExit(128 + number)

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:  # whoever started us says what is to be done
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


_shielded = threading.Event()


def _ignore_signals() -> None:
    if _shielded.is_set():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


# Called in the child, as pyspark gives Popen a function of its own to call there. To ignore the signals here as long as
# the JVM starts would be simpler, and lose the signal that somebody sends meanwhile.
os.register_at_fork(after_in_child=_ignore_signals)


@contextmanager
def children_ignore_signals() -> Iterator[None]:
    """Let processes started inside ignore SIGTERM and SIGINT, if they are started with a ``preexec_fn``.

    A signal to the whole group must not end Spark's JVM under the batch that this process is about to finish. The JVM
    ends with this process, whose pipe it watches.
    """
    _shielded.set()
    try:
        yield
    finally:
        _shielded.clear()
