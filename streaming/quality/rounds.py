"""Measuring windows from the topics, and publishing those that are mature, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import pyarrow as pa

from schemas.quality import QualityRecord
from streaming.clock import Clock, isoformat, moment
from streaming.quality.cohort import EarlyCohort, MatureCohort, MeasuringRules, measured
from streaming.quality.labels import attach
from streaming.quality.tables import distinct
from streaming.quality.windows import QualityWindow, WindowShape

Cohort = MatureCohort | EarlyCohort
_NOT_PASSED = "no later prediction is there, so some of it may be missing; --to says that it is whole"


class CohortSource(Protocol):
    """The topics. Every method raises ``BrokerUnavailableError`` if there is no answer."""

    def following(self, since: datetime) -> datetime | None:
        """Return the time of the first prediction written at or after ``since``, ``None`` if there is none."""
        ...

    def obstacle(self, window: QualityWindow) -> str | None:
        """Return why a window may not have all its predictions or labels on the topics, ``None`` if it has."""
        ...

    def predictions(self, window: QualityWindow) -> pa.Table:
        """Return the window's predictions."""
        ...

    def labels(self, window: QualityWindow, until: datetime) -> Iterator[pa.Table]:
        """Yield the labels that may be of the window and became known before ``until``, and perhaps others."""
        ...


class QualitySink(Protocol):
    """The quality topic."""

    def has(self, start: str, end: str) -> bool:
        """Return whether this window of ours is published."""
        ...

    def publish(self, records: Sequence[QualityRecord]) -> bool:
        """Publish a window's records together unless they are; return whether they were not.

        Raises:
            FencedError: another one has begun to publish.
            BrokerUnavailableError: the broker does not answer.
        """
        ...


@dataclass(frozen=True)
class QualitySubject:
    """Whose predictions are measured, and how."""

    application: str
    model: str
    shape: WindowShape
    lateness: timedelta
    rules: MeasuringRules


@dataclass
class QualityRounds:
    """Reads windows again and again; those that are done are not read twice."""

    subject: QualitySubject
    source: CohortSource
    sink: QualitySink
    clock: Clock
    _done: set[QualityWindow] = field(default_factory=set)
    _resume: datetime = field(default_factory=lambda: moment(0))

    def measured(self, since: datetime | None, until: datetime | None) -> Iterator[Cohort]:
        """Measure every window with predictions that begins at ``since`` or later and ends by ``until``.

        Without ``until`` the windows go on to the present, and one is early until a prediction of a later one is there.
        """
        for window in self._windows(since or moment(0), until or self.clock()):
            if until is not None and window.end > until:
                return
            is_over = until is not None or self._is_passed(window)
            cohort = self._measured(window, None if is_over else _NOT_PASSED)
            if cohort.versions:
                yield cohort

    def closed(self, since: datetime | None) -> Iterator[Cohort]:
        """Publish the windows from ``since`` on that have become mature and were not published yet, and yield them.

        A window waits as well until a prediction of a later one is there: while the scoring job stands still, the clock
        alone says nothing. One that may lack records is yielded once, as an early one, and not published.
        """
        now, is_gapless = self.clock(), True
        for window in self._windows(max(since or moment(0), self._resume), now):
            if window.due > now:
                return
            if not self._is_closed(window):
                if not self._is_passed(window):
                    is_gapless = False
                    continue
                cohort = self._measured(window, None)
                if isinstance(cohort, MatureCohort):
                    self.publish(cohort)
                self._done.add(window)
                if cohort.versions:
                    yield cohort
            # The next look begins behind the windows that are closed without a gap.
            if is_gapless:
                self._resume = window.end

    def publish(self, cohort: MatureCohort) -> bool:
        """Publish a window if it is not published; return whether it was new. An early one cannot be given."""
        if self.sink.has(*_ends(cohort.window)) or not cohort.versions:
            return False
        return self.sink.publish(records(self.subject, cohort))

    def _is_passed(self, window: QualityWindow) -> bool:
        """Return whether the stream goes on after the window; while the scoring job stands still, it does not."""
        return self.source.following(window.end) is not None

    def _is_closed(self, window: QualityWindow) -> bool:
        return window in self._done or self.sink.has(*_ends(window))

    def _windows(self, since: datetime, until: datetime) -> Iterator[QualityWindow]:
        """Yield the windows that begin between these times and may have predictions.

        There is no look at the years in which there are none.
        """
        first = self.subject.shape.at(since)
        at = since if first.start == since else first.end
        while (written := self.source.following(at - self.subject.lateness)) is not None:
            # A prediction may be written before its event's time by as much as after.
            window = self.subject.shape.at(max(at, written - self.subject.lateness))
            if window.start >= until:
                return
            yield window
            at = window.end

    def _measured(self, window: QualityWindow, obstacle: str | None) -> Cohort:
        now = self.clock()
        before = min(now, window.due)
        labelled = attach(distinct(self.source.predictions(window)), self.source.labels(window, before), before)
        versions = measured(labelled, self.subject.rules, max(before - window.end, timedelta()))
        due = f"labels are due until {isoformat(window.due)}" if now < window.due else None
        why = due or obstacle or self.source.obstacle(window)
        return MatureCohort(window, versions) if why is None else EarlyCohort(window, versions, why)


def records(subject: QualitySubject, cohort: MatureCohort) -> tuple[QualityRecord, ...]:
    """Return a window's records, one for each version and role. Of an early window there are none to be made."""
    start, end = _ends(cohort.window)
    return tuple(
        QualityRecord(
            application=subject.application,
            model=subject.model,
            start=start,
            end=end,
            horizon_seconds=round(subject.shape.horizon.total_seconds()),
            slice_column=subject.rules.slice_column,
            quality=version,
        )
        for version in cohort.versions
    )


def _ends(window: QualityWindow) -> tuple[str, str]:
    return isoformat(window.start), isoformat(window.end)
