"""Keeping a query running: it is restarted when it fails, and stopped between two batches on request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from streaming.engines.breaker import Breaker
from streaming.engines.failures import Failures, QueryObserver, Restarts
from streaming.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    DataError,
    FencedError,
    MissingMarkError,
    PenstockError,
    ScoringError,
    UpstreamError,
)
from streaming.spark.jvm import sleep

BatchFunction = Callable[[DataFrame, int], None]
StartQuery = Callable[[BatchFunction], StreamingQuery]
_POLL_SECONDS = 0.2
_HELD_MILLIS = 3_600_000


class Supervisor:
    """Runs one query until ``stopping`` is set: then the batch in progress finishes and is committed, and it ends."""

    def __init__(
        self,
        start: StartQuery,
        restarts: Restarts,
        observer: QueryObserver,
        breaker: Breaker,
        stopping: threading.Event,
    ) -> None:
        self._start = start
        self._failures = Failures(restarts, observer, stopping)
        self._observer = observer
        self._breaker = breaker
        self._stopping = stopping
        self._held = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._fatal: PenstockError | None = None
        self._reason: PenstockError | None = None

    def run(self, batch: BatchFunction) -> None:
        """Run until asked to stop.

        Raises:
            ConfigurationError: the broker refuses a right.
            DataError: going on would lose or double records.
            FencedError: another driver has taken over.
            ScoringError: no version that is left can score a batch.
            Exception: the query failed too often in a row; see :func:`streaming.engines.failures.last_of`.
        """
        while not self._stopping.is_set():
            self._reason = None
            try:
                query = self._start(self._gated(batch))
                self._observer.query_started()
                self._watch(query)
            except (StreamingQueryException, BrokerUnavailableError) as problem:
                self._after_failure(problem)

    def _watch(self, query: StreamingQuery) -> None:
        while not self._stopping.is_set():
            # awaitTermination raises the query's failure; it returns true if somebody else ended the query.
            if query.awaitTermination(_POLL_SECONDS):  # type: ignore[arg-type]  # fractions are fine
                return
        self._finish(query)

    def _finish(self, query: StreamingQuery) -> None:
        """Stop between two batches: when the next one is held at the gate, or when there is none.

        The batch held at the gate has no plan yet; the next start takes it up from the checkpoint.
        """
        while query.isActive and not self._held.is_set():
            if self._idle.is_set() and not query.status["isTriggerActive"]:
                break
            self._held.wait(_POLL_SECONDS / 4)
        query.stop()

    def _gated(self, batch: BatchFunction) -> BatchFunction:
        def run(records: DataFrame, number: int) -> None:
            self._breaker.wait(self._stopping)
            if self._stopping.is_set():
                self._held.set()
                _wait_to_be_interrupted(records)
            self._idle.clear()
            try:
                batch(records, number)
                self._failures.clear()
            except MissingMarkError:
                raise  # forgotten by Kafka while the partition was idle, perhaps: the next start restores it, or fails
            except (ConfigurationError, DataError, FencedError, ScoringError) as problem:
                self._fatal = problem
                raise
            except PenstockError as problem:
                self._reason = problem  # Spark wraps it in words of its own
                raise
            finally:
                self._idle.set()

        return run

    def _after_failure(self, problem: Exception) -> None:
        if self._fatal is not None:
            raise self._fatal
        self._failures.note(self._reason or problem)


def _wait_to_be_interrupted(records: DataFrame) -> NoReturn:
    """Hold the batch's thread until ``query.stop()``; the batch must not end as if it were done.

    The waiting is done by the JVM, where this thread's other half can be interrupted, and Spark takes the interruption
    for the orderly stop that it is. Waiting here would keep the query from ending until the waiting is over.
    """
    sleep(records.sparkSession, _HELD_MILLIS)
    raise UpstreamError("Spark did not stop the query whose next batch was held for its end")
