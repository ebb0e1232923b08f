"""The drift job's windows of a rollout's versions, as far as they are needed to compare the two."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from schemas.drift import INVALID, ColumnSummary, State, SummaryRecord
from streaming.models.ref import ModelKey
from streaming.rollout.drift import ColumnDrift, Columns, PairedWindow

MOST_WINDOWS = 200
"""Windows that are kept, the newest by event time: what is open is seen in the last few of them."""
_WindowKey = tuple[str, str]
"""The end and the start of a window, so that keys sort by time."""


class DriftBook:
    """Takes summaries in any order, also repeatedly; one that is sent again says the same."""

    def __init__(self, application: str, candidate: ModelKey) -> None:
        """Begin with nothing."""
        self._application = application
        self._candidate = candidate
        self._windows: dict[_WindowKey, dict[int, Columns]] = {}
        self._written: dict[_WindowKey, datetime] = {}

    def add(self, summaries: Iterable[tuple[datetime, SummaryRecord]]) -> None:
        """Take summaries with the times at which they were written; those of other models are passed over."""
        for written, summary in summaries:
            window = summary.window
            # Applications and models may share the topic.
            if (window.application, window.model) == (self._application, self._candidate.name):
                self._take(written, summary)
        for key in sorted(self._windows)[:-MOST_WINDOWS]:
            del self._windows[key]

    def _take(self, written: datetime, summary: SummaryRecord) -> None:
        key, version = (summary.window.end, summary.window.start), summary.window.version
        # What became dead letters is the business of another check.
        columns = {column.name: _drift_of(column) for column in summary.columns if column.name != INVALID}
        self._windows.setdefault(key, {})[version] = columns
        if version == self._candidate.version and any(column.is_known for column in columns.values()):
            self._written[key] = min(written, self._written.get(key, written))

    def windows_since(self, moment: datetime) -> int:
        """Return how many of the candidate's windows with enough rows were written from a moment on."""
        return sum(written >= moment for written in self._written.values())

    def pairs(self, champion: int | None) -> tuple[PairedWindow, ...]:
        """Return the windows that a champion's version and the candidate have, in the order of time."""
        if champion is None:
            return ()
        return tuple(
            PairedWindow(key[1], versions[champion], versions[self._candidate.version])
            for key, versions in sorted(self._windows.items(), key=lambda item: item[0])
            if versions.keys() >= {champion, self._candidate.version}
        )


def _drift_of(column: ColumnSummary) -> ColumnDrift:
    moved = "" if column.movement is None else column.cause
    return ColumnDrift(State(column.state), column.effect, moved, column.since)
