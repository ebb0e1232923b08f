"""Spark's reports on a query: progress, idleness and end, passed on in types that need no Spark."""

from __future__ import annotations

import json
from typing import Any, Protocol

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from streaming.operations.observer import QueryProgress
from streaming.spark.reports import TextReports


class ProgressCallback(Protocol):
    """Observer of the query's progress. Every method is called on Spark's listener thread and must be quick."""

    def progressed(self, progress: QueryProgress) -> None:
        """A trigger with data ended."""
        ...

    def idle(self) -> None:
        """A trigger found nothing to do."""
        ...

    def terminated(self, problem: str | None) -> None:
        """The query ended; ``problem`` is ``None`` if it was asked to."""
        ...


class EventListener(StreamingQueryListener):
    """Forwards the events of the query with one name and ignores those of others in the session."""

    def __init__(self, query: str, callback: ProgressCallback) -> None:
        self._query = query
        self._callback = callback
        self._ids: set[str] = set()

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        """Learn the query's run id; the later events carry no name."""
        if event.name == self._query:
            self._ids.add(str(event.runId))

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's name
        """Forward progress."""
        self.reported(event.progress.json)

    def reported(self, text: str) -> None:
        """Forward a progress report, which Spark prints as JSON."""
        report = json.loads(text)
        # A session may run other queries, of which the job knows nothing.
        if report["runId"] in self._ids:
            lag: dict[str, dict[int, int]] = {}
            for source in report["sources"]:
                lag.update(lag_of(source.get("endOffset"), source.get("latestOffset")))
            seconds = report.get("durationMs", {}).get("triggerExecution", 0) / 1000
            self._callback.progressed(QueryProgress(report["batchId"], report["numInputRows"], seconds, lag))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802 - Spark's name
        """Forward idleness."""
        if str(event.runId) in self._ids:
            self._callback.idle()

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's name
        """Forward the end."""
        if str(event.runId) in self._ids:
            self._ids.discard(str(event.runId))
            self._callback.terminated(event.exception)


class ProgressListener(TextReports, EventListener):
    """A listener that takes less of the job's time than :class:`TextReports`, because it uses Spark's internals."""


def lag_of(end: Any, latest: Any) -> dict[str, dict[int, int]]:
    """Subtract Kafka offsets as Spark reports them, as JSON or as what it says.

    >>> lag_of('{"features": {"0": 7}}', {"features": {"0": 9}})
    {'features': {0: 2}}
    """
    try:
        ends, latests = (
            json.loads(offsets or "{}") if isinstance(offsets, str | None) else offsets for offsets in (end, latest)
        )
        return {
            topic: {int(part): offset - ends[topic][part] for part, offset in parts.items() if part in ends[topic]}
            for topic, parts in latests.items()
            if topic in ends
        }
    except (ValueError, TypeError, AttributeError):
        return {}
