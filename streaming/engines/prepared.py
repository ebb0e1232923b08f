"""A version's plan for a batch, made once: each batch only puts its records in the place of the last one's.

Spark analyses, optimises and plans a frame each time it is made, which for a small batch takes longer than scoring it.
A physical plan of projections depends on its input by the columns alone, so it can be kept, and its leaf exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.clock import Stopwatch
from streaming.delivery.envelope import Stamp, envelop
from streaming.delivery.ledger import Plan
from streaming.delivery.native import now
from streaming.delivery.outcome import SCHEMA, Outcome
from streaming.delivery.writer import write_partition
from streaming.engines.task import WriteTarget
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.plan import nodes
from streaming.scoring.score import score

_COLLECTOR = "org.apache.spark.sql.execution.CollectMetricsExec"
_ORDER = "penstock.order"
"""The local property that tells a batch's tasks what to write; the closure is the plan's, and so the same for all."""


class PreparedBatch:
    """Reads, scores, serialises and writes any batch of one query with one version; not for two threads at a time."""

    def __init__(self, records: DataFrame, pipeline: SparkPipeline, target: WriteTarget, stamp: Stamp) -> None:
        """Plan over ``records``, a batch of the query; of ``stamp`` its time is not used, each row has its own."""
        # Counted before anything is done to them, so that a row lost further on is noticed.
        counted = records.observe("rows_in", F.count(F.lit(1)).alias("rows"))
        rows = envelop(score(counted, pipeline), stamp, target.targets.predictions.max_record_bytes, now())
        written = rows.mapInArrow(_writer(target), SCHEMA)
        self._made_for = pipeline, stamp
        # A plan of projections has one child for each node, so this is the way from the top to the leaf.
        self._nodes = list(nodes(written._jdf.queryExecution().executedPlan()))
        self._leaf = self._nodes.pop()
        self._counter = next(at for at, node in enumerate(self._nodes) if node.getClass().getName() == _COLLECTOR)

    def serves(self, pipeline: SparkPipeline, stamp: Stamp) -> bool:
        """Whether this is the plan for a pipeline's batches under a stamp."""
        return self._made_for[0] is pipeline and self._made_for[1] == stamp

    def run(self, records: DataFrame, plan: Plan, scored_at: str, watch: Stopwatch) -> tuple[int, dict[int, Outcome]]:
        """Write a batch as :func:`streaming.engines.task.run_batch` does."""
        context = records.sparkSession.sparkContext
        context.setLocalProperty(_ORDER, json.dumps({"plan": plan.to_dict(), "scored_at": scored_at}))
        try:
            copied = self._over(_rows(records))
            watch.lap("prepare")
            found = copied[0].executeCollectPublic()
            watch.lap("write")
        finally:
            context.setLocalProperty(_ORDER, None)  # type: ignore[arg-type]  # takes it away
        outcomes = {int(row.getInt(0)): Outcome.from_json(row.getString(1)) for row in found}
        rows_in = int(copied[self._counter].collectedMetrics().getLong(0)) if outcomes else 0
        return rows_in, outcomes

    def _over(self, rows: Any) -> list[Any]:
        """Copy the plan over other rows, from its leaf up; return its nodes, the leaf's successor last.

        One call into the JVM for each node: ``withNewChildren``, which is the same for any node, takes five.
        """
        leaf = self._leaf
        node = leaf.copy(
            leaf.output(), rows, leaf.name(), leaf.outputPartitioning(), leaf.outputOrdering(), leaf.stream()
        )
        copied = []
        for kept in reversed(self._nodes):
            node = kept.withNewChildInternal(node)
            copied.append(node)
        return copied[::-1]


def _rows(records: DataFrame) -> Any:
    """Return Spark's own rows of the frame; a batch of a stream has them at hand."""
    plan = records._jdf.logicalPlan()
    return plan.rdd() if plan.getClass().getSimpleName() == "LogicalRDD" else records._jdf.queryExecution().toRdd()


def _writer(target: WriteTarget) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        order = json.loads((context and context.getLocalProperty(_ORDER)) or "null")
        plan = Plan.from_dict(order["plan"])
        return write_partition(target.order(plan, plan.version, order["scored_at"]), batches)

    return write
