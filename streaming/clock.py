"""Time as an argument: code that needs the time takes a ``Clock``, tests turn one by hand (``streaming.testing``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from streaming.errors import ConfigurationError

Clock = Callable[[], datetime]
"""Gives the present time, aware and in UTC."""


def system_clock() -> datetime:
    """Return the machine's time, aware and in UTC."""
    return datetime.now(timezone.utc)


def isoformat(when: datetime) -> str:
    """Return RFC 3339 with milliseconds and a ``Z``.

    >>> isoformat(datetime(2013, 7, 1, 5, 15, tzinfo=timezone.utc))
    '2013-07-01T05:15:00.000Z'
    """
    return when.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is in UTC. Raises ``ValueError`` for anything else.

    >>> isoformat(instant("2013-07-01T07:15+02:00"))
    '2013-07-01T05:15:00.000Z'
    """
    # Python 3.10 reads no Z.
    parsed = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def moment(seconds: float) -> datetime:
    """Return the time that is so many seconds after 1970 began.

    >>> isoformat(moment(1372655700.0))
    '2013-07-01T05:15:00.000Z'
    """
    return datetime.fromtimestamp(seconds, timezone.utc)


def parsed_instant(name: str, text: str) -> datetime:
    """Read the ISO 8601 time that somebody gave as the option or setting ``name``, as :func:`instant` does.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return instant(text)
    except ValueError as problem:
        raise ConfigurationError(
            f"{name} {text!r} is not a time; write it like 2013-04-01 or 2013-04-01T05:00:00Z"
        ) from problem


@dataclass(frozen=True)
class Period:
    """A stretch of time, ``until`` left out; ``None`` sets no bound."""

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def parsed(cls, names: tuple[str, str], since: str | None, until: str | None) -> Period:
        """Read the ISO 8601 times that somebody gave as two options or settings of these ``names``.

        Raises:
            ConfigurationError: one is no time, or nothing lies between them.
        """
        first, last = (
            parsed_instant(name, text) if text else None for name, text in zip(names, (since, until), strict=True)
        )
        if first is not None and last is not None and first >= last:
            raise ConfigurationError(
                f"{names[1]} {until} is not after {names[0]} {since}: the stretch ends before it begins, and nothing is"
                " in it; turn them round, or correct one"
            )
        return cls(first, last)


class Stopwatch:
    """Seconds between laps, by the monotonic clock, under the names of a batch's phases."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.phases: dict[str, float] = {}

    def lap(self, phase: str) -> None:
        """Add the seconds since the last lap to ``phase``."""
        now = time.monotonic()
        self.phases[phase] = self.phases.get(phase, 0.0) + now - self._last
        self._last = now
