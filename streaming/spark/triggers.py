"""A query's triggers, held back and let go while it runs."""

from __future__ import annotations

import time
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

_MANUAL_CLOCK = "org.apache.spark.util.ManualClock"
_AHEAD_MILLIS = 1_000


def triggers_of(session: SparkSession, query: StreamingQuery) -> Triggers | None:
    """Return the query's triggers, ``None`` until the first of them."""
    executor = query._jsq.streamingQuery().triggerExecutor()
    return None if executor is None else Triggers(session, executor)


class Triggers:
    """A query's triggers, which follow one another without a pause, or wait for a clock that is turned by hand.

    Both are fields of Spark's executor of triggers, which it reads anew for each of them.
    """

    def __init__(self, session: SparkSession, executor: Any) -> None:
        jvm: Any = session._jvm
        self._executor = executor
        # Ahead of Spark's own clock, by which the trigger under way may yet decide when the next one is due.
        self._clock = getattr(jvm, _MANUAL_CLOCK)(int(time.time() * 1_000) + _AHEAD_MILLIS)
        self._interval = self._field("intervalMs")
        self._field("clock").set(self._executor, self._clock)

    def hold(self) -> None:
        """Let each trigger wait for a look."""
        self._interval.set(self._executor, 1)

    def look(self) -> None:
        """Let one trigger go."""
        self._clock.advance(1)

    def release(self) -> None:
        """Let all triggers go, one after the other."""
        self._interval.set(self._executor, 0)
        self._clock.advance(1)

    def _field(self, name: str) -> Any:
        field = self._executor.getClass().getDeclaredField(name)
        field.setAccessible(True)
        return field
