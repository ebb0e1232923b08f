"""The drift job's query: predictions and dead letters counted in batches, windows closed between them as well."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from schemas.drift import SummaryRecord
from streaming.clock import Clock
from streaming.drift.frames import Watched, tallies
from streaming.drift.monitor import Monitor
from streaming.engines.failures import FailureObserver, Failures, Restarts, last_of
from streaming.errors import PenstockError, UpstreamError

_POLL_SECONDS = 0.5

WindowListener = Callable[[SummaryRecord], None]
"""Learns of each window that was closed."""


class DriftObserver(FailureObserver, Protocol):
    """Observer of the counting and of the query's failures."""

    def counted(self, open_rows: int, cells: int) -> None:
        """Note how many rows, and how many counts of them, are in windows that are not closed yet."""
        ...


@dataclass(frozen=True)
class DriftStream:
    """The stream that is counted. ``options`` are those of Spark's Kafka source and may hold secrets.

    Predictions are read every ``every_seconds``, at most ``max_rows`` at once, and counted in tiles of ``tile_ms``.
    ``starting`` is where a first run starts; afterwards the checkpoint decides.
    """

    name: str
    options: Mapping[str, str] = field(repr=False)
    watched: Watched
    checkpoint: str
    tile_ms: int
    starting: Literal["earliest", "latest"] = "earliest"
    max_rows: int = 1_000_000
    every_seconds: float = 5.0


@dataclass(frozen=True)
class DriftPorts:
    """What the query needs of its surroundings."""

    spark: SparkSession
    clock: Clock
    observer: DriftObserver
    listeners: Sequence[WindowListener] = ()


class DriftQuery:
    """Runs until asked to stop, or once over what there is."""

    def __init__(self, stream: DriftStream, monitor: Monitor, ports: DriftPorts, restarts: Restarts) -> None:
        self._stream = stream
        self._monitor = monitor
        self._ports = ports
        self._restarts = restarts
        self._lock = threading.Lock()
        self._problem: Exception | None = None

    def run(self, stopping: threading.Event) -> None:
        """Count until ``stopping`` is set; a query that fails is started again from the state that was kept.

        Raises:
            PenstockError: an error of our own that no restart mends.
            Exception: it failed too often without a finished batch in between; see
                :func:`streaming.engines.failures.last_of`.
        """
        failures = Failures(self._restarts, self._ports.observer, stopping)
        while not stopping.is_set():
            # A batch finished in between shows that the failure is not permanent.
            done = self._monitor.batch
            try:
                self._watch(self._start(), stopping)
            except (StreamingQueryException, PenstockError, OSError) as problem:
                if self._monitor.batch > done:
                    failures.clear()
                failures.note(self._cause(problem))

    def run_once(self) -> None:
        """Count what there is now, close every window and return.

        Raises:
            Exception: as the query failed.
        """
        query = self._start(once=True)
        try:
            query.awaitTermination()
        except StreamingQueryException as problem:
            raise last_of(1, self._problem or problem) from problem
        with self._lock:
            self._tell(self._monitor.finish())

    def _start(self, *, once: bool = False) -> StreamingQuery:
        with self._lock:
            self._monitor.restore(self._now())
        self._problem = None
        stream = self._stream
        options = {
            **stream.options,
            "subscribe": f"{stream.watched.predictions},{stream.watched.dead_letters}",
            "startingOffsets": stream.starting,
            "includeHeaders": "true",
            # What retention took is not counted; to stop for it would help nobody.
            "failOnDataLoss": "false",
            "maxOffsetsPerTrigger": str(stream.max_rows),
            "kafka.isolation.level": "read_committed",
        }
        records = self._ports.spark.readStream.format("kafka").options(**options).load()
        writing = records.writeStream.queryName(stream.name).foreachBatch(self._batch)
        writing = writing.option("checkpointLocation", stream.checkpoint)
        every = f"{stream.every_seconds} seconds"
        return (writing.trigger(availableNow=True) if once else writing.trigger(processingTime=every)).start()

    def _batch(self, records: DataFrame, number: int) -> None:
        try:
            if self._monitor.counted(number):
                return
            counted = tallies(records, self._stream.watched, self._stream.tile_ms)
            with self._lock:
                self._tell(self._monitor.take(number, counted, self._now()))
        except Exception as problem:
            self._problem = problem  # Spark wraps it in words of its own
            raise

    def _watch(self, query: StreamingQuery, stopping: threading.Event) -> None:
        try:
            # awaitTermination raises the query's failure.
            while not stopping.is_set() and not query.awaitTermination(_POLL_SECONDS):  # type: ignore[arg-type]
                # While a batch is read, time passes without anybody being silent.
                if not query.status["isTriggerActive"]:
                    with self._lock:
                        self._tell(self._monitor.wait(self._now()))
        finally:
            query.stop()

    def _tell(self, summaries: Sequence[SummaryRecord]) -> None:
        self._ports.observer.counted(self._monitor.book.open_rows, self._monitor.book.size)
        for summary in summaries:
            for listener in self._ports.listeners:
                listener(summary)

    def _cause(self, problem: Exception) -> Exception:
        """Return what stands behind Spark's words; raises an error of our own that no restart mends."""
        cause = self._problem or problem
        if isinstance(cause, PenstockError) and not isinstance(cause, UpstreamError):
            raise cause from problem
        return cause

    def _now(self) -> int:
        return int(self._ports.clock().timestamp() * 1000)
