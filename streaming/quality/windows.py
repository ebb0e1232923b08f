"""Windows of event time, and when the labels of one are all due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from streaming.clock import moment


@dataclass(frozen=True)
class QualityWindow:
    """Events from ``start`` up to but not including ``end``, and how long after its end labels are waited for."""

    start: datetime
    end: datetime
    horizon: timedelta

    @property
    def due(self) -> datetime:
        """The time from which all labels are due. A label that became known then or later is never used."""
        return self.end + self.horizon


@dataclass(frozen=True)
class WindowShape:
    """The length of windows and the time that labels are waited for. The first window begins with 1970, in UTC."""

    length: timedelta
    horizon: timedelta

    def at(self, when: datetime) -> QualityWindow:
        """Return the window that has this moment in it.

        >>> WindowShape(timedelta(days=1), timedelta(hours=6)).at(moment(90_000)).start == moment(86_400)
        True
        """
        start = when - (when - moment(0)) % self.length
        return QualityWindow(start, start + self.length, self.horizon)

    def between(self, since: datetime, until: datetime) -> Iterator[QualityWindow]:
        """Yield the windows that have a moment from ``since`` up to but not including ``until``, oldest first."""
        window = self.at(since)
        while window.start < until:
            yield window
            window = self.at(window.end)
