"""Versions that are loaded beside the batches, a few at a time; one that takes long keeps no other waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from streaming.models.table_versions import Attempt

_MOST_SLOW = 64
"""Loads that may take longer at once. Each of them waits for somebody else's disk or network, and takes a thread."""


class ModelLoads:
    """Loads what it is asked for in that order; one thread asks and collects."""

    def __init__(self, load: Callable[[str], Attempt], threads: int, patience_seconds: float) -> None:
        """Begin nothing yet.

        Args:
            load: loads the version that a model should have, and does not throw.
            threads: how many loads run at once, beside those that take longer than ``patience_seconds``.
            patience_seconds: see there.
        """
        self._load = load
        self._threads = threads
        self._patience = patience_seconds
        self._pool = ThreadPoolExecutor(threads + _MOST_SLOW, thread_name_prefix="model-loader")
        self._waiting: dict[str, None] = {}
        self._running: dict[str, tuple[Future[Attempt], float]] = {}

    def __bool__(self) -> bool:
        """Return whether something is being loaded or has to wait for it."""
        return bool(self._waiting or self._running)

    def ask(self, names: Iterable[str]) -> None:
        """Load the version of each model, unless that is under way."""
        self._waiting.update((name, None) for name in names if name not in self._running)
        self._begin()

    def collect(self) -> Iterator[tuple[str, Attempt]]:
        """Yield the models whose loads have ended, with what came of them, and begin those that wait."""
        for name in [name for name, (future, _) in self._running.items() if future.done()]:
            yield name, self._running.pop(name)[0].result()
        self._begin()

    def stop(self) -> None:
        """Begin nothing any more; what is being loaded is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        now = time.monotonic()
        prompt = sum(now - began < self._patience for _, began in self._running.values())
        room = min(self._threads - prompt, self._threads + _MOST_SLOW - len(self._running))
        for name in list(self._waiting)[: max(room, 0)]:
            del self._waiting[name]
            self._running[name] = self._pool.submit(self._load, name), now
