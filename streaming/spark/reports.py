"""A query's progress as the text that Spark has, instead of the objects that pyspark makes of it.

Those take a hundred calls into the JVM a report, some of which search all of its jars for a class. With five batches a
second that took a quarter of the job's time.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol, cast

from pyspark import SparkContext
from pyspark.sql.streaming.listener import JStreamingQueryListener, StreamingQueryListener
from pyspark.sql.streaming.query import StreamingQuery


def last_report(query: StreamingQuery) -> str | None:
    """Return the report on the query's last finished batch, as JSON; ``None`` before the first."""
    progress = query._jsq.lastProgress()
    return None if progress is None else str(progress.json())


class TextListener(Protocol):
    """A listener that takes progress as text."""

    def reported(self, text: str) -> None:
        """Take a progress report, which Spark prints as JSON."""
        ...


class TextReports(StreamingQueryListener):
    """Makes a :class:`TextListener` be called with text, where another's ``onQueryProgress`` is with an event."""

    @cached_property
    def _jlistener(self) -> Any:
        """What Spark calls; PySpark asks for it when the listener is added, and when it is removed."""
        jvm: Any = SparkContext._jvm
        return jvm.PythonStreamingQueryListenerWrapper(_Reports(self))


class _Reports(JStreamingQueryListener):
    """PySpark's own way from Spark's events to a listener, but for progress."""

    def onQueryProgress(self, jevent: Any) -> None:  # noqa: N802 - Spark's name
        """Take the report as text."""
        cast(TextListener, self.pylistener).reported(jevent.progress().json())
