"""How often each caller may ask: a bucket of tokens for each, filled at a steady rate up to a bound."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_CALLERS = 10_000
"""Buckets that are remembered; the caller that has not asked for longest is forgotten, and has a full one again."""


@dataclass
class CallerRates:
    """Counts the requests of callers.

    Attributes:
        per_second: requests that a caller may make for ever.
        burst: requests that it may make at once, after a pause.
        clock: seconds from any moment on.
    """

    per_second: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    """Each caller's tokens, and when that was."""

    def wait(self, caller: str) -> float:
        """Count a request; return 0, or the seconds until the caller may make one, which then does not count."""
        now = self.clock()
        tokens, then = self._buckets.pop(caller, (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.per_second)
        seconds = 0.0 if tokens >= 1.0 else (1.0 - tokens) / self.per_second
        self._buckets[caller] = (tokens if seconds else tokens - 1.0, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return seconds
