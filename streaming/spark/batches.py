"""Handing a query's batches to a function, for less than PySpark's ``foreachBatch`` asks for each of them.

PySpark wraps the query's session anew for each batch. That looks up JVM classes by name, part after part, and for each
part that is a package py4j makes the JVM search all of its jars for a class: a third of the time of a small batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter
from pyspark.sql.utils import ForeachBatchFunction

_HELPER = "org.apache.spark.sql.execution.streaming.sources.PythonForeachBatchHelper"


def for_each_batch(writing: DataStreamWriter, batch: Callable[[DataFrame, int], None]) -> DataStreamWriter:
    """Return ``writing`` with ``batch`` as its sink; otherwise as ``DataStreamWriter.foreachBatch``."""
    session = writing._spark
    gateway: Any = session.sparkContext._gateway
    getattr(gateway.jvm, _HELPER).callForeachBatch(writing._jwrite, _Batches(session, batch))
    ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
    return writing


class _Batches(ForeachBatchFunction):
    """The JVM's way to the function. A query has one session of its own for all of its batches."""

    def __init__(self, session: SparkSession, batch: Callable[[DataFrame, int], None]) -> None:
        super().__init__(session, batch)
        self._own: SparkSession | None = None

    def call(self, jdf: Any, batch_id: int) -> None:
        """Score one batch; what it raises is kept for ``StreamingQueryException``, where PySpark looks for it."""
        try:
            if self._own is None:
                self._own = SparkSession(self.session.sparkContext, jdf.sparkSession())
            self.func(DataFrame(jdf, self._own), batch_id)
        except Exception as problem:
            self.error = problem
            raise
