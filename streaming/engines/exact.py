"""The exact engine: one micro-batch, scored by the planned version and written by one transaction per partition.

A batch goes through six steps, and a crash between any two of them is repaired by doing the batch again:

1. Read its offset ranges from Spark's checkpoint.
2. Decide its version, or its arms: the ledger's plan for these ranges if there is one, else the slot's; write the plan.
3. Score, by one plan over one read of Kafka.
4. Write, each task its own partition's transaction, skipping what an earlier attempt committed.
5. Check that rows in are rows out, and record the outcome with the marks of partitions that had no rows.
6. Report. The slot may swap before the next batch, and the breaker may hold it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pyspark.sql import DataFrame

from streaming.clock import Stopwatch, isoformat
from streaming.delivery.marks import Mark, Writer, error_named
from streaming.delivery.outcome import Outcome
from streaming.engines.attempt import attempt
from streaming.engines.batch_scorers import BatchScorers
from streaming.engines.chain import RowsThrewError
from streaming.engines.deadline import deadline
from streaming.engines.decisions import PlanDecisions
from streaming.engines.exact_ports import ExactPorts, Tolerance
from streaming.engines.lookups import require_lookups
from streaming.engines.plan_versions import PlanVersions
from streaming.engines.planner import Planner
from streaming.engines.program import BatchOrder, BatchResult
from streaming.engines.report import BatchReport
from streaming.engines.task import WriteTarget
from streaming.errors import (
    InvariantError,
    LookupUnavailableError,
    ScoringError,
    TooManyThrowingRowsError,
    TooSlowError,
)
from streaming.ledger.plan import PartitionOutcome, Plan
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.offsets import Ranges
from streaming.spark.query_run import limit_next

_NOT_AGAIN = (TooManyThrowingRowsError, TooSlowError)


class ExactEngine:
    """The function that ``foreachBatch`` calls. One instance serves one query; only its batch thread uses it."""

    def __init__(self, ports: ExactPorts, target: WriteTarget, tolerance: Tolerance) -> None:
        self._ports = ports
        self._target = target
        self._tolerance = tolerance
        self._decisions = PlanDecisions(ports, Planner(target.writer, ports.clock))
        self._versions = PlanVersions(ports)
        self._scorers = BatchScorers()

    def __call__(self, records: DataFrame, batch: int) -> None:
        """Score and write one batch; returns when it is committed and recorded."""
        watch = Stopwatch()
        ranges = self._ports.checkpoint.ranges(batch, self._added)
        self._reached("ranges_read")
        watch.lap("ranges")
        plan = self._decisions.decide(batch, ranges)
        self._reached("planned")
        watch.lap("plan")
        plan, result = self._attempts(records, plan, watch)
        total = self._checked(result.rows_in, result.outcomes)
        self._reached("written")
        watch.lap("write")
        self._recorded(plan, result.outcomes)
        self._reached("recorded")
        watch.lap("record")
        report = _report(batch, ranges, plan, total, watch)
        self._ports.observer.batch_finished(report)
        # Many models have no reference, and the chain need not answer alike.
        if not plan.arms.is_table and not plan.degraded:
            self._ports.recheck(plan.version.key, ranges)
        self._ports.breaker.batch_finished(total)
        limit = self._ports.ramp.after(sum(part.end - part.start for part in ranges.values()), report.seconds)
        if limit is not None:
            limit_next(records.sparkSession, limit)

    def _recorded(self, plan: Plan, outcomes: Mapping[int, Outcome]) -> None:
        with ThreadPoolExecutor(1) as beside:
            recording = beside.submit(self._record, plan, outcomes)
            # py4j's proxies refer to themselves; until they are collected, they keep the batch's plans in the JVM.
            # Meanwhile the broker answers.
            gc.collect()
            recording.result()

    def _added(self, partitions: list[int]) -> Mapping[int, int]:
        """Return the first offsets of partitions that were added to the topic, and mark them before they are read.

        A mark that is there stays: when the batch comes again the mark may have moved on, and an earlier one would
        repeat what was written since.
        """
        starts, marks = self._ports.first_offsets(partitions), self._ports.marks(partitions)
        new = {p: Mark.at(offset, self._writer) for p, offset in starts.items() if p not in marks}
        if new:
            self._ports.ledger.record_start(new)
        return starts

    def _reached(self, step: str) -> None:
        self._target.failpoints.reach(f"engine.{step}")

    @property
    def _writer(self) -> Writer:
        return self._target.writer

    def _attempts(self, records: DataFrame, plan: Plan, watch: Stopwatch) -> tuple[Plan, BatchResult]:
        """Try as planned, then with the champion alone, then with what the chain has, or the last good version."""
        failures, chain = 0, self._ports.chain
        while True:
            try:
                with self._versions.of(plan) as served:
                    result = self._attempt(records, plan, served, watch)
                require_lookups(result.outcomes.values())
            except LookupUnavailableError as problem:
                plan = self._decisions.with_lookup(plan, problem)
            except RowsThrewError as rows:
                plan = self._decisions.with_rows(plan, rows)
                self._reached("planned_again")
            except ScoringError as problem:
                failures += 1
                for arm in plan.arms.arms:
                    self._ports.observer.batch_failed(arm.version, str(problem))
                # Another search would find the same rows, another try would take as long, and a trial is one.
                is_over = isinstance(problem, _NOT_AGAIN) or chain.is_on_trial(plan.version)
                if is_over or failures >= self._tolerance.failures:
                    plan, failures = self._decisions.after(plan, problem, failures), 0
                    self._reached("planned_again")
            else:
                chain.answered(plan.version)
                return plan, result

    def _attempt(self, records: DataFrame, plan: Plan, served: list[ServedModel], watch: Stopwatch) -> BatchResult:
        scored_at = isoformat(self._ports.clock())
        if plan.arms.is_table or plan.arms.lookup is not None:
            # What a model throws is its own events' matter, in the task. Whatever else fails is no model's fault.
            return self._ports.program.run(records, BatchOrder(served[0], plan, scored_at, watch))
        model = self._scorers.scoring(records, plan, served)
        order = BatchOrder(model, plan, scored_at, watch)
        program = self._ports.program

        def find() -> Poison:
            began = time.monotonic()
            try:
                poison = program.throwing_rows(records, order, self._tolerance.poison_rows)
                if not poison:
                    self._scorers.distrust(model, plan.arms)
                return poison
            finally:
                watch.lap("isolate")
                self._ports.observer.rows_searched(time.monotonic() - began)

        def run(safe: ServedModel) -> BatchResult:
            parts = self._ports.chain.for_rows(plan, safe.decoder.poison)
            if parts != plan.degraded:
                raise RowsThrewError(parts)
            with deadline(records.sparkSession.sparkContext, self._ports.chain.bound(plan)):
                return program.run(records, replace(order, model=safe))

        return attempt(run, model, find, plan.arms)

    def _checked(self, rows_in: int, outcomes: Mapping[int, Outcome]) -> Outcome:
        for outcome in outcomes.values():
            if outcome.error:
                raise error_named(outcome.error, outcome.detail)
        total = sum(outcomes.values(), Outcome())
        if total.rows != rows_in:
            self._ports.observer.invariant_broken(rows_in, total.rows)
            raise InvariantError(
                f"{rows_in} rows came in; {total.predictions} predictions, {sum(total.dead_letters.values())} dead"
                f" letters and {total.skipped} rows written before went out. The job stops rather than lose one."
            )
        return total

    def _record(self, plan: Plan, outcomes: Mapping[int, Outcome]) -> None:
        moved = {p: part for p, part in plan.ranges.items() if part.end > part.start}
        empty = {p: part for p, part in moved.items() if p not in outcomes}
        idle = {p: Mark.at(part.end, self._writer, plan.id, part.start) for p, part in empty.items()}
        written = {p: outcomes.get(p, Outcome(segments={plan.id: (part.start, part.end)})) for p, part in moved.items()}
        results = {p: PartitionOutcome.of(plan, moved[p], outcome) for p, outcome in written.items()}
        self._ports.ledger.record_outcome(plan, results, idle)


def _report(batch: int, ranges: Ranges, plan: Plan, total: Outcome, watch: Stopwatch) -> BatchReport:
    """Return the report on a batch of which as many rows went out as came in."""
    return BatchReport(
        batch=batch,
        plan=plan.id,
        version=plan.version,
        ranges=ranges,
        rows_in=total.rows,
        outcome=total,
        phases={**watch.phases, **{f"task_{name}": seconds for name, seconds in total.phases.items()}},
        seconds=sum(watch.phases.values()),
    )
