"""A version's plan for a batch, made once: each batch only puts its partitions in the place of the last one's.

Spark analyses, optimises and plans a frame each time it is made, and generates its code, which for a small batch takes
longer than scoring it. A physical plan of projections depends on its input by the columns alone, so it can be kept,
with the RDD that it executes; of that, only the partitions say where the rows are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.clock import Stopwatch
from streaming.delivery.outcome import SCHEMA, Outcome
from streaming.delivery.writer import write_partition
from streaming.engines.query_run import QueryRun
from streaming.engines.stages import allow_large, compiling, cut
from streaming.engines.task import WriteTarget
from streaming.ledger.plan import Plan
from streaming.outputs.envelope import Stamp, envelop
from streaming.outputs.spark_rows import now
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.plan import nodes
from streaming.scoring.score import score

_COLLECTOR = "org.apache.spark.sql.execution.CollectMetricsExec"
_ORDER = "penstock.order"
"""The local property that tells a batch's tasks what to write; the closure is the plan's, and so the same for all."""
_CODEGEN = "spark.sql.codegen.factoryMode"
_FEW_ROWS = 4_000
"""Of so few rows, each task would take longer to generate a projection's code than to interpret it."""


class PreparedBatch:
    """Reads, scores, serialises and writes any batch of one query with one version; not for two threads at a time."""

    def __init__(self, records: DataFrame, pipeline: SparkPipeline, target: WriteTarget, stamp: Stamp) -> None:
        """Plan over ``records``, a batch of the query; of ``stamp`` its time is not used, each row has its own."""
        allow_large(records.sparkSession)
        # Counted before anything is done to them, so that a row lost further on is noticed.
        counted = records.observe("rows_in", F.count(F.lit(1)).alias("rows"))
        rows = envelop(score(counted, pipeline), stamp, target.targets.predictions, now())
        written = rows.mapInArrow(_writer(target), SCHEMA)
        self._made_for = pipeline, stamp
        # A plan of projections has one child for each node, so this is the way from the top to the leaf.
        with compiling(records.sparkSession, True):
            *planned, self._leaf = nodes(written._jdf.queryExecution().executedPlan())
        self._nodes = cut(records.sparkSession, planned)
        self._counter = next(at for at, node in enumerate(self._nodes) if node.getClass().getName() == _COLLECTOR)
        self._kept: dict[int, _Kept] = {}
        # Looked up once: for each part of a class's name, py4j makes the JVM search all of its jars.
        self._copy = cast(Any, records.sparkSession._jvm).java.lang.System.arraycopy
        self._run: QueryRun | None = None

    def serves(self, pipeline: SparkPipeline, stamp: Stamp) -> bool:
        """Whether this is the plan for a pipeline's batches under a stamp."""
        return self._made_for[0] is pipeline and self._made_for[1] == stamp

    def run(self, records: DataFrame, plan: Plan, scored_at: str, watch: Stopwatch) -> tuple[int, dict[int, Outcome]]:
        """Write a batch as :func:`streaming.engines.task.run_batch` does."""
        if self._run is None or self._run.session is not records.sparkSession:
            self._run = QueryRun(records.sparkSession)
        kept = self._over(records)
        named = frozenset(p for p, part in plan.ranges.items() if part.end > part.start)
        sources = self._run.sources(kept.partitions, named)
        few = sum(part.end - part.start for part in plan.ranges.values()) <= _FEW_ROWS
        # They stay with the query's thread, whose only other tasks look for the rows that a pipeline throws on.
        context = records.sparkSession.sparkContext
        context.setLocalProperty(
            _ORDER, json.dumps({"plan": plan.to_dict(), "scored_at": scored_at, "partitions": sources})
        )
        context.setLocalProperty(_CODEGEN, "NO_CODEGEN" if few else "FALLBACK")
        watch.lap("prepare")
        # Not collected: for that, Spark serialises the whole RDD only to see whether it can be. One more row than there
        # are, so that every task is asked for its rows to their end.
        found = kept.top.executeTake(len(kept.partitions) + 1)
        outcomes = {row.getInt(0): Outcome.from_json(str(row.getUTF8String(1))) for row in found}
        watch.lap("write")
        rows_in = int(kept.counter.collectedMetrics().getLong(0)) if outcomes else 0
        self._run.report_read(rows_in)
        return rows_in, outcomes

    def _over(self, records: DataFrame) -> _Kept:
        """Return the kept plan over a batch; batches of as many partitions have the same one."""
        rows = _rows(records)
        partitions = rows.partitions()
        count = len(partitions)
        if count not in self._kept:
            self._kept[count] = self._copied(rows)
        kept = self._kept[count]
        # Each RDD of such a plan has its parent's partitions, the very array, and hands its tasks what stands in there.
        self._copy(partitions, 0, kept.partitions, 0, count)
        kept.counter.resetMetrics()
        return kept

    def _copied(self, rows: Any) -> _Kept:
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
        return _Kept(top, copied[self._counter], top.execute().partitions())


@dataclass(frozen=True)
class _Kept:
    """A plan that has been executed, and keeps its RDD: its top, what counts its rows, and the RDD's partitions."""

    top: Any
    counter: Any
    partitions: Any


def _rows(records: DataFrame) -> Any:
    """Return Spark's own rows of the frame; a batch of a stream has them at hand."""
    plan = records._jdf.logicalPlan()
    return plan.rdd() if plan.getClass().getSimpleName() == "LogicalRDD" else records._jdf.queryExecution().toRdd()


def _writer(target: WriteTarget) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = cast(TaskContext, TaskContext.get())
        order = json.loads(context.getLocalProperty(_ORDER) or "null")
        plan = Plan.from_dict(order["plan"])
        known = dict(enumerate(order["partitions"]))
        return write_partition(
            target.order(plan, plan.version, order["scored_at"]), batches, known.get(context.partitionId())
        )

    return write
