"""The pulse of a driver's JVM: asked for by one thread, which a JVM that hangs holds up, and watched by another.

A batch may take as long as it likes: the JVM that runs it answers meanwhile. One that answers nothing is stopped,
thrashes for want of memory, or waits for itself, and nothing in this process that needs it will ever go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_EVERY_SECONDS = 1.0


class Pulse:
    """Calls ``lost`` once, with the seconds of silence, when ``ask`` has not been answered for ``seconds``."""

    def __init__(
        self, ask: Callable[[], object], seconds: float, lost: Callable[[float], None], every: float = _EVERY_SECONDS
    ) -> None:
        """Take what to ask and whom to tell; :meth:`start` begins.

        Args:
            ask: a question that is answered at once, or never, or by an exception.
            seconds: of silence, until it is lost.
            lost: is called on a thread of its own.
            every: seconds between two questions.
        """
        self._ask = ask
        self._seconds = seconds
        self._lost = lost
        self._every = every
        self._answers = 0
        self._stopping = threading.Event()
        self.is_lost = False

    def start(self) -> None:
        """Begin to ask and to watch, until :meth:`stop`."""
        for run in (self._beat, self._watch):
            threading.Thread(target=run, name="pulse", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()

    def _beat(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self._ask()
            except Exception:  # noqa: S112 - whatever it is, it is no answer, and the next one may be
                continue
            self._answers += 1

    def _watch(self) -> None:
        silent, answers, before = 0.0, self._answers, time.monotonic()
        while not self._stopping.wait(self._every):
            now = time.monotonic()
            # While this process was frozen itself, with its machine perhaps, nobody could have answered.
            silent += min(now - before, 2 * self._every)
            before = now
            if self._answers != answers:
                silent, answers = 0.0, self._answers
            elif silent > self._seconds:
                self.is_lost = True
                self._lost(silent)
                return
