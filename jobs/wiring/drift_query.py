"""The drift job's query: predictions and dead letters counted in batches, windows closed between them as well."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from schemas.drift import SummaryRecord
from streaming.adapters.kafka.config import spark_options
from streaming.clock import Clock
from streaming.drift.frames import Watched, tallies
from streaming.drift.monitor import Monitor
from streaming.engines.failures import last_of
from streaming.errors import PenstockError, UpstreamError
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_LONGEST_PAUSE = 60.0
_POLL_SECONDS = 0.5

Told = Callable[[SummaryRecord], None]


@dataclass(frozen=True)
class Wiring:
    """What the query is made of. ``told`` learns of each window."""

    spark: SparkSession
    settings: Settings
    watched: Watched
    checkpoint: str
    clock: Clock
    told: Sequence[Told]
    metrics: DriftMetrics


class DriftQuery:
    """Runs until asked to stop, or once over what there is."""

    def __init__(self, wiring: Wiring, monitor: Monitor) -> None:
        self._on = wiring
        self._monitor = monitor
        self._lock = threading.Lock()
        self._slide = 1000 * (wiring.settings.drift.slide_seconds or wiring.settings.drift.window_seconds)
        self._problem: Exception | None = None

    def run(self, stopping: threading.Event) -> None:
        """Count until ``stopping`` is set; a query that fails is started again from the state that was kept.

        Raises:
            PenstockError: an error of our own that no restart mends.
            Exception: it failed ``engine.max_restarts`` times without a finished batch in between; see
                :func:`streaming.engines.failures.last_of`.
        """
        failures = 0
        while not stopping.is_set():
            done = self._monitor.batch
            try:
                self._watch(self._start(), stopping)
            except (StreamingQueryException, PenstockError, OSError) as problem:
                failures = 1 if self._monitor.batch > done else failures + 1
                self._after(problem, failures, stopping)

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
        settings, on = self._on.settings, self._on
        options = {
            **spark_options(settings.kafka),
            "subscribe": f"{on.watched.predictions},{on.watched.dead_letters}",
            "startingOffsets": settings.drift.starting,
            "includeHeaders": "true",
            # What retention took is not counted; to stop for it would help nobody.
            "failOnDataLoss": "false",
            "maxOffsetsPerTrigger": str(settings.drift.max_rows_per_batch),
            "kafka.isolation.level": "read_committed",
        }
        records = on.spark.readStream.format("kafka").options(**options).load()
        writing = records.writeStream.queryName(f"{settings.application}-drift").foreachBatch(self._batch)
        writing = writing.option("checkpointLocation", on.checkpoint)
        every = f"{settings.drift.trigger_seconds} seconds"
        return (writing.trigger(availableNow=True) if once else writing.trigger(processingTime=every)).start()

    def _batch(self, records: DataFrame, number: int) -> None:
        try:
            if self._monitor.counted(number):
                return
            found = tallies(records, self._on.watched, self._slide)
            with self._lock:
                self._tell(self._monitor.take(number, found, self._now()))
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
        self._on.metrics.counted(self._monitor.book.open_rows, self._monitor.book.size)
        for summary in summaries:
            for told in self._on.told:
                told(summary)

    def _after(self, problem: Exception, failures: int, stopping: threading.Event) -> None:
        engine, cause = self._on.settings.engine, self._problem or problem
        if isinstance(cause, PenstockError) and not isinstance(cause, UpstreamError):
            raise cause from problem
        if failures > engine.max_restarts:
            raise last_of(failures, cause) from problem
        pause = min(engine.restart_seconds * 2 ** (failures - 1), _LONGEST_PAUSE)
        _log.warning("drift query failed, starting again", problem=str(cause), seconds=pause)
        self._on.metrics.failed()
        stopping.wait(pause)

    def _now(self) -> int:
        return int(self._on.clock().timestamp() * 1000)
