"""A lookup table that does not answer: how long the last state is used, and when the table is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=1)
"""How long the table is left alone after a failure: twice as long each time."""


@dataclass
class LookupBreaker:
    """Opens ``after`` the first failure, unless the table has answered since; one thread moves it."""

    after: timedelta
    problem: str = ""
    """Why the table cannot be read; empty where it can."""
    _failing_since: datetime | None = None
    _ask_at: datetime | None = None
    _pause: timedelta = _FIRST_PAUSE

    def may_ask(self, now: datetime) -> bool:
        """Return whether the table was left alone for long enough."""
        return self._ask_at is None or now >= self._ask_at

    def is_open(self, now: datetime) -> bool:
        """Return whether the table has failed for so long that nobody shall use its last state any more."""
        since = self._failing_since
        return since is not None and now - since >= self.after

    def failed(self, problem: str, now: datetime) -> None:
        """Note that the table could not be read."""
        self.problem = problem
        self._failing_since = self._failing_since or now
        self._ask_at, self._pause = now + self._pause, min(2 * self._pause, _LONGEST_PAUSE)

    def mended(self) -> None:
        """Note that it could."""
        self.problem, self._failing_since, self._ask_at, self._pause = "", None, None, _FIRST_PAUSE
