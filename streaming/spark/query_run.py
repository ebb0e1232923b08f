"""One run of a streaming query as its batches see it: what is asked of Spark once, instead of for each of them.

Each question is a call into the JVM, of some half a millisecond; a small batch is over in a hundred.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pyspark.sql import SparkSession

_QUERY = "sql.streaming.queryId"
"""The local property in which a streaming query's thread has its id."""
_FROM_SOURCE = "org.apache.spark.sql.execution.datasources.v2.DataSourceRDDPartition"
_READ_LIMIT = "org.apache.spark.sql.connector.read.streaming.ReadLimit"
# Each partition is one more call into the JVM, so beyond these the question is not worth its time.
_FEW = 16
_AT_ONCE = "spark.sql.limit.initialNumPartitions"
"""The setting for how many partitions Spark takes rows from in its first job; one by default."""


class QueryRun:
    """What holds for all batches with one ``session``, of which each run of a query has its own."""

    def __init__(self, session: SparkSession) -> None:
        self.session = session
        session.conf.set(_AT_ONCE, str(2**31 - 1))
        self._sources: dict[frozenset[int], list[int]] = {}
        self._is_first = True

    def sources(self, partitions: Any, named: frozenset[int]) -> list[int]:
        """Return each task's partition of the topic, if that is quickly asked for; else none.

        Args:
            partitions: the batch's own, in the JVM.
            named: the partitions of the topic that have rows in it. Spark puts the same ones in the same order, but in
                a run's first batch, whose offsets may come from the checkpoint.
        """
        if named in self._sources:
            return self._sources[named]
        sources = _sources(partitions)
        if not self._is_first:
            self._sources[named] = sources
        self._is_first = False
        return sources

    def report_read(self, rows: int) -> None:
        """Say how many rows there were where Spark looks for it: in the batch's own scan, which may never have run."""
        if self._query is not None:
            self._query.lastExecution().executedPlan().collectLeaves().head().longMetric("numOutputRows").set(rows)

    @cached_property
    def _query(self) -> Any:
        return _query_of(self.session)


def limit_next(session: SparkSession, rows: int) -> None:
    """Bound the next batches of the query whose batch this thread has.

    Spark asks its source for a bound once, when the query starts, and keeps the answer where it is replaced here.
    """
    query: Any = _query_of(session)
    if query is not None:
        jvm: Any = session._jvm
        limit = getattr(jvm, _READ_LIMIT).maxRows(rows)
        sources = query.uniqueSources()
        getattr(query, "uniqueSources_$eq")(sources.updated(sources.head()._1(), limit))


def _query_of(session: SparkSession) -> Any:
    own = session.sparkContext.getLocalProperty(_QUERY)
    queries = session._jsparkSession.sharedState().activeStreamingQueries()
    return next((query for query in queries.values() if str(query.id()) == own), None)


def _sources(partitions: Any) -> list[int]:
    if not 0 < len(partitions) <= _FEW or partitions[0].getClass().getName() != _FROM_SOURCE:
        return []
    return [int(partition.inputPartition().get().offsetRange().partition()) for partition in partitions]
