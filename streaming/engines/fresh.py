"""Batches by Spark's public API alone: each is analysed, optimised, planned and compiled anew."""

from __future__ import annotations

from pyspark.sql import DataFrame

from streaming.engines.isolate import isolate_by_halves
from streaming.engines.program import BatchOrder, BatchResult
from streaming.engines.task import WriteTarget, run_batch
from streaming.models.seams import Poison


class FreshProgram:
    """Implements :class:`streaming.engines.program.BatchProgram`; keeps nothing from one batch to the next."""

    def __init__(self, target: WriteTarget) -> None:
        self._target = target

    def run(self, records: DataFrame, order: BatchOrder) -> BatchResult:
        """Score and write a batch."""
        plan = order.plan
        written = self._target.order(plan, order.scored_at)
        return BatchResult(*run_batch(records, order.model, written, order.watch))

    def throwing_rows(self, records: DataFrame, order: BatchOrder, most: int) -> Poison:
        """Search by halves: some twenty jobs for each row, half of which fail."""
        return isolate_by_halves(records, order.model, order.plan.ranges, most)
