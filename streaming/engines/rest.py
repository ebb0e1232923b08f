"""Letting a query that has nothing to do rest until something comes.

Spark looks for new events by asking Kafka for the ends of all partitions, without a pause, as a pause would delay the
next event. A consumer need not ask: its fetch is answered when something comes. So once a query has been idle for a
moment, its triggers wait for such a consumer. They look now and then all the same, for what a consumer is not told of:
partitions that were added, and the ends of transactions that were aborted.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from typing import Protocol

from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from streaming.engines.supervisor import BatchFunction
from streaming.spark.triggers import Triggers, triggers_of

_IDLE_SECONDS = 1.0
"""After the last batch; a query that is fed more often is left alone."""
_LOOK_SECONDS = 1.0
_SOON_SECONDS = 0.1


class Newcomers(Protocol):
    """Knows when a record comes; ``adapters/kafka/newcomers.py`` implements it."""

    def watch(self) -> bool:
        """Begin at the topic's present ends; false where they are not to be had."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait until a record has come, at most so long; also true when that cannot be known."""
        ...

    def leave(self) -> None:
        """Watch no more, until told to again."""
        ...

    def close(self) -> None:
        """Let go of the broker."""
        ...


class Rest:
    """Lets one run of a query rest while nothing comes; the query's batches go through :meth:`seen`."""

    def __init__(self, newcomers: Newcomers, look_seconds: float = _LOOK_SECONDS) -> None:
        """Take what knows of new records, and how many seconds are between two looks of a query at rest."""
        self._newcomers = newcomers
        self._look_seconds = look_seconds
        self._running = False
        self._latest = time.monotonic()

    def seen(self, batch: BatchFunction) -> BatchFunction:
        """Return the function with which a query has its batches noticed."""

        def run(records: DataFrame, number: int) -> None:
            self._running = True
            try:
                batch(records, number)
            finally:
                self._latest = time.monotonic()
                self._running = False

        return run

    def watch(self, session: SparkSession, query: StreamingQuery) -> None:
        """Let the query rest whenever it is idle, on a thread of its own, until it ends."""
        threading.Thread(target=self._watch, args=(session, query), name="rest", daemon=True).start()

    def _watch(self, session: SparkSession, query: StreamingQuery) -> None:
        with suppress(Py4JError, ConnectionError), closing(self._newcomers):  # where the JVM ends before its query
            triggers: Triggers | None = None
            while query.isActive:
                if triggers is None:
                    triggers = triggers_of(session, query)
                elif self._is_idle() and self._newcomers.watch():
                    self._rest(triggers, query)
                    self._newcomers.leave()
                time.sleep(_SOON_SECONDS)

    def _is_idle(self) -> bool:
        return not self._running and time.monotonic() - self._latest > _IDLE_SECONDS

    def _rest(self, triggers: Triggers, query: StreamingQuery) -> None:
        """Hold the triggers until a record comes. What came before we watched is seen by the first look."""
        triggers.hold()
        try:
            while self._is_idle() and query.isActive:
                triggers.look()
                if self._newcomers.wait(self._look_seconds):
                    break
        finally:
            self._latest = time.monotonic()
            triggers.release()
