"""A version's batches by a kept plan, which tells its tasks what to write by a local property.

See :mod:`streaming.spark.kept_plan`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from pyspark import TaskContext
from pyspark.sql import DataFrame

from streaming.delivery.outcome import SCHEMA, Outcome
from streaming.engines.isolate import isolate
from streaming.engines.program import BatchOrder, BatchResult
from streaming.engines.rows import Batches, Write, output_rows
from streaming.engines.task import WriteTarget
from streaming.ledger.plan import Plan
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.outputs.envelope import Stamp
from streaming.outputs.spark_rows import now
from streaming.spark.kept_plan import KeptPlan
from streaming.spark.query_run import QueryRun

_ORDER = "penstock.order"
"""The local property that tells a batch's tasks what to write; the closure is the plan's, and so the same for all."""
_CODEGEN = "spark.sql.codegen.factoryMode"
_FEW_ROWS = 4_000
"""Up to this many rows, a task takes longer to generate a projection's code than to interpret it."""


Stamps = tuple[Stamp, ...]
"""A stamp for each arm."""


class KeptProgram:
    """Implements :class:`streaming.engines.program.BatchProgram`: a version's batches share a plan."""

    def __init__(self, target: WriteTarget) -> None:
        self._target = target
        self._prepared: PreparedBatch | None = None

    def run(self, records: DataFrame, order: BatchOrder) -> BatchResult:
        """Score and write a batch. A version, or a stamp, that is not the last batch's is planned anew."""
        stamps = self._target.stamps(order.plan, "")
        if self._prepared is None or not self._prepared.serves(order.model, stamps):
            self._prepared = PreparedBatch(records, order.model, self._target, stamps)
        return self._prepared.run(records, order)

    def throwing_rows(self, records: DataFrame, order: BatchOrder, most: int) -> Poison:
        """Find all of them by one job."""
        return isolate(records, order.model, order.plan.ranges, most)


class PreparedBatch:
    """Reads, scores, serialises and writes any batch of one query with one version; not for two threads at a time."""

    def __init__(self, records: DataFrame, model: ServedModel, target: WriteTarget, stamps: Stamps) -> None:
        """Plan over ``records``, a batch of the query; of ``stamps`` the time is not used, each row has its own."""

        def written(counted: DataFrame) -> DataFrame:
            rows, write = output_rows(counted, model, stamps, target.targets.predictions, now())
            return rows.mapInArrow(_task(target, write), SCHEMA)

        self._made_for = model, stamps
        self._plan = KeptPlan(records, written)
        self._run: QueryRun | None = None

    def serves(self, model: ServedModel, stamps: Stamps) -> bool:
        """Return whether this is the plan for a version's batches under its arms' stamps."""
        return self._made_for[0] is model and self._made_for[1] == stamps

    def run(self, records: DataFrame, order: BatchOrder) -> BatchResult:
        """Write a batch as :func:`streaming.engines.task.run_batch` does."""
        plan = order.plan
        if self._run is None or self._run.session is not records.sparkSession:
            self._run = QueryRun(records.sparkSession)
        batch = self._plan.over(records)
        named = frozenset(p for p, part in plan.ranges.items() if part.end > part.start)
        sources = self._run.sources(batch.partitions, named)
        few = sum(part.end - part.start for part in plan.ranges.values()) <= _FEW_ROWS
        # They stay with the query's thread, whose only other tasks look for the rows that a pipeline throws on.
        context = records.sparkSession.sparkContext
        context.setLocalProperty(
            _ORDER, json.dumps({"plan": plan.to_dict(), "scored_at": order.scored_at, "partitions": sources})
        )
        context.setLocalProperty(_CODEGEN, "NO_CODEGEN" if few else "FALLBACK")
        order.watch.lap("prepare")
        outcomes = {partition: Outcome.from_json(text) for partition, text in batch.rows()}
        order.watch.lap("write")
        rows_in = batch.rows_read() if outcomes else 0
        self._run.report_read(rows_in)
        return BatchResult(rows_in, outcomes)


def _task(target: WriteTarget, write: Write) -> Callable[[Batches], Batches]:
    def run(batches: Batches) -> Batches:
        context = cast(TaskContext, TaskContext.get())
        order = json.loads(context.getLocalProperty(_ORDER) or "null")
        plan = Plan.from_dict(order["plan"])
        partitions = dict(enumerate(order["partitions"]))
        return write(target.order(plan, order["scored_at"]), batches, partitions.get(context.partitionId()))

    return run
