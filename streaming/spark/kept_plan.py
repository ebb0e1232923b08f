"""A frame's plan for a batch, made once: each batch only puts its partitions in the place of the last one's.

Spark analyses, optimises and plans a frame each time it is made, and generates its code, which for a small batch takes
longer than scoring it. A physical plan of projections depends on its input by the columns alone, so it can be kept,
with the RDD that it executes; of that, only the partitions say where the rows are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.spark.codegen_stages import allow_large, compiling, cut
from streaming.spark.plan_nodes import executed_nodes

_COLLECTOR = "org.apache.spark.sql.execution.CollectMetricsExec"


class KeptPlan:
    """The plan of a frame made of a batch by projections; not for two threads at a time."""

    def __init__(self, records: DataFrame, make: Callable[[DataFrame], DataFrame]) -> None:
        """Plan what ``make`` makes of ``records``, a batch of the query."""
        allow_large(records.sparkSession)
        # Counted before anything is done to them, so that a row lost further on is noticed.
        written = make(records.observe("rows_in", F.count(F.lit(1)).alias("rows")))
        # A plan of projections has one child for each node, so this is the way from the top to the leaf.
        with compiling(records.sparkSession, True):
            *planned, self._leaf = executed_nodes(written)
        self._nodes = cut(records.sparkSession, planned)
        self._counter = next(at for at, node in enumerate(self._nodes) if node.getClass().getName() == _COLLECTOR)
        self._plans: dict[int, KeptRun] = {}
        # Looked up once: for each part of a class's name, py4j makes the JVM search all of its jars.
        self._copy = cast(Any, records.sparkSession._jvm).java.lang.System.arraycopy

    def over(self, records: DataFrame) -> KeptRun:
        """Return the plan over a batch, until the next call; batches of as many partitions share it."""
        rows = _rows(records)
        partitions = rows.partitions()
        count = len(partitions)
        if count not in self._plans:
            self._plans[count] = self._copied(rows)
        run = self._plans[count]
        # Each RDD of such a plan has its parent's partitions, the very array, and hands its tasks what stands in there.
        self._copy(partitions, 0, run.partitions, 0, count)
        run.counter.resetMetrics()
        return run

    def _copied(self, rows: Any) -> KeptRun:
        """Copy the plan over other rows, from its leaf up.

        One call into the JVM for each node: ``withNewChildren``, which is the same for any node, takes five.
        """
        leaf = self._leaf
        node = leaf.copy(
            leaf.output(), rows, leaf.name(), leaf.outputPartitioning(), leaf.outputOrdering(), leaf.stream()
        )
        copied = []
        for above in reversed(self._nodes):
            node = above.withNewChildInternal(node)
            copied.append(node)
        copied.reverse()
        top = copied[0]
        return KeptRun(top, copied[self._counter], top.execute().partitions())


@dataclass(frozen=True)
class KeptRun:
    """A plan that has been executed, and keeps its RDD: its top, what counts its rows, and the RDD's partitions."""

    top: Any
    counter: Any
    partitions: Any

    def rows(self) -> list[tuple[int, str]]:
        """Execute it, and return its rows, which have a number and a text each, at most one row a partition."""
        # Not collected: for that, Spark serialises the whole RDD only to see whether it can be. One more row than there
        # are, so that every task is asked for its rows to their end.
        taken = self.top.executeTake(len(self.partitions) + 1)
        return [(int(row.getInt(0)), str(row.getUTF8String(1))) for row in taken]

    def rows_read(self) -> int:
        """Return how many rows went in, once there are rows that came out."""
        return int(self.counter.collectedMetrics().getLong(0))


def _rows(records: DataFrame) -> Any:
    """Return Spark's own rows of the frame; a batch of a stream has them at hand."""
    plan = records._jdf.logicalPlan()
    return plan.rdd() if plan.getClass().getSimpleName() == "LogicalRDD" else records._jdf.queryExecution().toRdd()
