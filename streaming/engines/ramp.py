"""How much a batch may take: little after a start, and soon all that the settings allow.

Nothing of a batch counts until it is written. If the job is killed every few seconds, a first batch that takes longer
than that is begun again and again, and nothing is ever done. So the first batch of each start is small, and the next
ones grow with the time for which the query has lived: one that dies after a minute had batches of a quarter of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

FIRST = 1_000
"""Rows of the first batch."""
_SHARE = 0.25
"""The most that a batch may take of the time since the start, as long as batches grow. One that is done again takes
longer, as the new process is cold."""
_ASSUMED_BYTES = 1_024
"""The size of an event where the topic is empty and no event can be measured."""


class Ramp:
    """The bound on a batch's rows. It grows with each batch that reached it, as far as ``most``, and never shrinks."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        """Begin at ``most``; ``now`` gives seconds from any moment on."""
        self._most = most
        self._now = now
        self._since = now()
        self.limit = most

    def begin(self) -> int:
        """Return the bound for a query that starts now."""
        self._since = self._now()
        self.limit = min(FIRST, self._most)
        return self.limit

    def after(self, rows: int, seconds: float) -> int | None:
        """Return the bound after a batch of ``rows`` that took ``seconds``; ``None`` where it stays the same."""
        # Spark divides the bound among partitions, and rounds down. A batch far below it was all there is.
        if self.limit == self._most or 2 * rows < self.limit:
            return None
        lived = self._now() - self._since
        allowed = min(self._most, int(rows / max(seconds, 1e-3) * lived * _SHARE))
        if allowed <= self.limit:
            return None
        self.limit = allowed
        return allowed


def rows_per_batch(most_rows: int, most_bytes: int, sample: Sequence[bytes]) -> int:
    """Return the bound on a batch's rows: ``most_rows``, or fewer where recent events are so large that bytes count.

    Args:
        most_rows: bounds a batch's rows.
        most_bytes: bounds the bytes of its events' values.
        sample: values of recent events.

    >>> rows_per_batch(1_000, 10_000, [b"x" * 100])
    100
    """
    mean = sum(map(len, sample)) / len(sample) if sample else _ASSUMED_BYTES
    return max(1, min(most_rows, int(most_bytes / max(mean, 1))))
