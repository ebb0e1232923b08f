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
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import structlog
from pyspark.sql import DataFrame

from streaming.clock import Stopwatch, isoformat
from streaming.delivery.marks import Mark, Writer, error_named
from streaming.delivery.outcome import Outcome
from streaming.engines.arms import CombinedArms
from streaming.engines.attempt import attempt
from streaming.engines.chain import RowsThrewError
from streaming.engines.deadline import deadline
from streaming.engines.decisions import PlanDecisions
from streaming.engines.degraded_rows import with_degraded_rows
from streaming.engines.exact_ports import ExactPorts, Tolerance
from streaming.engines.known_good import KnownGoodRows
from streaming.engines.lookups import require_lookups
from streaming.engines.planner import Planner
from streaming.engines.program import BatchOrder, BatchResult
from streaming.engines.report import BatchReport
from streaming.engines.task import WriteTarget
from streaming.errors import (
    InvariantError,
    LookupUnavailableError,
    ModelNotFoundError,
    ScoringError,
    TooManyThrowingRowsError,
    TooSlowError,
)
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart, whole
from streaming.ledger.plan import PartitionOutcome, Plan
from streaming.models.ref import ModelKey
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.spark.query_run import limit_next

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_NOT_AGAIN = (TooManyThrowingRowsError, TooSlowError)
_UNEXPLAINED = 3
"""Batches on which a version's row pass failed and its reference did not, after which the reference scores them all.
"""


class ExactEngine:
    """The function that ``foreachBatch`` calls. One instance serves one query; only its batch thread uses it."""

    def __init__(self, ports: ExactPorts, target: WriteTarget, tolerance: Tolerance) -> None:
        self._ports = ports
        self._target = target
        self._tolerance = tolerance
        self._decisions = PlanDecisions(ports, Planner(target.writer, ports.clock))
        self._known_good: defaultdict[str, KnownGoodRows] = defaultdict(KnownGoodRows)
        self._together = CombinedArms()
        self._unexplained: Counter[frozenset[ModelKey]] = Counter()

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
        outcomes = result.outcomes
        total = self._checked(result.rows_in, outcomes)
        self._reached("written")
        watch.lap("write")
        with ThreadPoolExecutor(1) as beside:
            recording = beside.submit(self._record, plan, outcomes)
            # py4j's proxies refer to themselves; until they are collected, they keep the batch's plans in the JVM.
            # Meanwhile the broker answers.
            gc.collect()
            recording.result()
        self._reached("recorded")
        watch.lap("record")
        phases = {**watch.phases, **{f"task_{name}": seconds for name, seconds in total.phases.items()}}
        seconds = sum(watch.phases.values())
        self._ports.observer.batch_finished(
            BatchReport(
                batch=batch,
                plan=plan.id,
                version=plan.version,
                ranges=ranges,
                rows_in=result.rows_in,
                outcome=total,
                phases=phases,
                seconds=seconds,
            )
        )
        # Many models have no reference, and the chain need not answer alike.
        if not plan.arms.is_table and not plan.degraded:
            self._ports.recheck(plan.version.key, ranges)
        self._ports.breaker.batch_finished(total)
        limit = self._ports.ramp.after(sum(part.end - part.start for part in ranges.values()), seconds)
        if limit is not None:
            limit_next(records.sparkSession, limit)

    def _added(self, partitions: list[int]) -> Mapping[int, int]:
        """A partition added to the topic starts at its first offset, and is given a mark there before it is read.

        Only once: when the batch comes again, a mark may have moved on, and putting it back would repeat what it says.
        """
        starts, known = self._ports.first_offsets(partitions), self._ports.marks(partitions)
        new = {p: Mark.at(offset, self._writer) for p, offset in starts.items() if p not in known}
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
                with self._versions(plan) as served:
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

    @contextmanager
    def _versions(self, plan: Plan) -> Iterator[list[ServedModel]]:
        """Use the planned version of each arm, then those that answer single rows."""
        base = whole(plan.degraded)
        with ExitStack() as stack:
            if base is not None:
                models = [self._stand_in(base, stack)]
            else:
                models = [self._version(arm.version.key, stack) for arm in plan.arms.arms]
            yield models + [self._stand_in(part, stack) for part in plan.degraded if part.rows]

    def _stand_in(self, part: DegradedPart, stack: ExitStack) -> ServedModel:
        """Use the version that answers a part, or its default score."""
        if part.score is None:
            return self._version(part.version.key, stack)
        return self._ports.default_scores(part.version, part.score, self._ports.slot.current())

    def _version(self, key: ModelKey, stack: ExitStack) -> ServedModel:
        """Use the slot's version if it is still there, or the arms' own, else one loaded for this batch alone."""
        try:
            return stack.enter_context(self._ports.slot.lease(key))
        except ModelNotFoundError:
            served = self._ports.arms.loaded(key) or self._ports.chain.loaded(key)
        if served is None:
            served = self._ports.fallback.recall(key)
            stack.callback(self._ports.fallback.release, served)
        return served

    def _attempt(self, records: DataFrame, plan: Plan, served: list[ServedModel], watch: Stopwatch) -> BatchResult:
        scored_at = isoformat(self._ports.clock())
        if plan.arms.is_table or plan.arms.lookup is not None:
            # What a model throws is its own events' matter, in the task. Whatever else fails is no model's fault.
            return self._ports.program.run(records, BatchOrder(served[0], plan, scored_at, watch))
        model = self._scoring(records, plan, served)
        order = BatchOrder(model, plan, scored_at, watch)
        program = self._ports.program

        def find() -> Poison:
            began = time.monotonic()
            try:
                poison = program.throwing_rows(records, order, self._tolerance.poison_rows)
                if not poison:
                    self._distrust(model, plan.arms)
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

    def _scoring(self, records: DataFrame, plan: Plan, served: list[ServedModel]) -> ServedModel:
        """Return what scores the batch: the version of the arms, or of several, and of rows that the chain answers."""
        rows = [part for part in plan.degraded if part.rows]
        roles = [arm.role for arm in plan.arms.arms] + [str(part.version.key) for part in rows]
        proven = [
            self._known_good[role](loaded, partial(loaded.decoder, records))
            for role, loaded in zip(roles, served, strict=True)
        ]
        of_arms = proven[: len(plan.arms.arms)]
        if rows:
            return with_degraded_rows(of_arms, plan.arms, rows, proven[len(of_arms) :])
        trusted = [self._trusted(own, frozenset({own.key})) for own in of_arms]
        return self._trusted(self._together(trusted, plan.arms), plan.arms.keys)

    def _trusted(self, model: ServedModel, versions: frozenset[ModelKey]) -> ServedModel:
        """Return the versions as they are, or by the reference alone if their row pass threw where that does not."""
        return model if self._unexplained[versions] < _UNEXPLAINED else model.reference

    def _distrust(self, model: ServedModel, arms: PlannedArms) -> None:
        """Note that a try failed, and that the reference throws on no row."""
        if model.row_pass is None:
            return
        # Of two versions it is not known which has failed, so together they are judged apart from either alone.
        self._unexplained[arms.keys] += 1
        _log.warning("the one pass failed on rows on which the reference does not", model=str(arms))

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
