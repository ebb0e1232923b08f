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
)
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import PartitionOutcome, Plan
from streaming.models.ref import ModelKey
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.offsets import Ranges
from streaming.spark.query_run import limit_next

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_UNEXPLAINED = 3
"""Batches on which a version's row pass failed and its reference did not, after which the reference scores them all.
"""


class ExactEngine:
    """The function that ``foreachBatch`` calls. One instance serves one query; only its batch thread uses it."""

    def __init__(self, ports: ExactPorts, target: WriteTarget, tolerance: Tolerance) -> None:
        self._ports = ports
        self._target = target
        self._tolerance = tolerance
        self._planner = Planner(target.writer, ports.clock)
        self._known_good: defaultdict[str, KnownGoodRows] = defaultdict(KnownGoodRows)
        self._together = CombinedArms()
        self._unexplained: Counter[frozenset[ModelKey]] = Counter()

    def __call__(self, records: DataFrame, batch: int) -> None:
        """Score and write one batch; returns when it is committed and recorded."""
        watch = Stopwatch()
        ranges = self._ports.checkpoint.ranges(batch, self._added)
        self._reached("ranges_read")
        watch.lap("ranges")
        plan = self._decide(batch, ranges)
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
        # Many models have no reference.
        if not plan.arms.is_table:
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

    def _decide(self, batch: int, ranges: Ranges) -> Plan:
        earlier = self._ports.ledger.find(self._ports.checkpoint.id(), ranges)
        if earlier is not None:
            return self._with_lookup(earlier)
        served = self._ports.slot.current()
        if served is None:
            raise ModelNotFoundError("no model version is loaded yet; the job must not start its query before one is")
        arms = self._ports.arms.planned(served.version, self._ports.slot.held)
        return self._planned(batch, ranges, replace(arms, lookup=self._ports.lookups.planned()))

    def _with_lookup(self, earlier: Plan) -> Plan:
        """Return a plan that is there already; one from before the job looked columns up is made anew with a state."""
        state = None if earlier.arms.lookup else self._ports.lookups.planned()
        if state is None:
            return earlier
        arms = replace(PlannedArms.only(earlier.version), lookup=state)
        return self._planned(earlier.batch, earlier.ranges, arms, f"plan {earlier.id} has no state of the lookup table")

    def _planned(self, batch: int, ranges: Ranges, arms: PlannedArms, reason: str = "") -> Plan:
        plan = self._planner.plan(self._ports.checkpoint.id(), batch, ranges, arms, reason)
        self._ports.ledger.record_plan(plan)
        return plan

    def _attempts(self, records: DataFrame, plan: Plan, watch: Stopwatch) -> tuple[Plan, BatchResult]:
        """Try as planned, then with the champion alone, then with the last good version.

        Failing rows alone never get this far.
        """
        failures = 0
        while True:
            try:
                with self._versions(plan) as served:
                    result = self._attempt(records, plan, served, watch)
                    require_lookups(result.outcomes.values())
                    return plan, result
            except LookupUnavailableError as problem:
                self._ports.lookups.failed(str(problem))
                arms = replace(plan.arms, lookup=self._ports.lookups.planned())
                plan = self._planned(plan.batch, plan.ranges, arms, str(problem))
            except ScoringError as problem:
                failures += 1
                for arm in plan.arms.arms:
                    self._ports.observer.batch_failed(arm.version, str(problem))
                # Another search would find the same rows.
                if failures >= self._tolerance.failures or isinstance(problem, TooManyThrowingRowsError):
                    plan, failures = self._replanned(plan, problem, failures), 0

    def _replanned(self, plan: Plan, problem: ScoringError, failures: int) -> Plan:
        reason = f"{plan.arms} failed {failures} {'time' if failures == 1 else 'times'}: {problem}"
        if len(plan.arms.arms) > 1:
            self._ports.arms.give_up(reason)
            return self._planned(plan.batch, plan.ranges, PlannedArms.only(plan.version), reason)
        serving = self._ports.fallback.roll_back(plan.version.key, reason)
        if serving is None or serving.key == plan.version.key:
            raise ScoringError(
                f"{plan.version} cannot score batch {plan.batch} and no good version is left: {problem}. Nothing of the"
                " batch is lost: name a version that can score it, or let more rows become dead letters"
                " (engine.max_poison_rows), and start again."
            )
        arms = replace(PlannedArms.only(serving.version), lookup=plan.arms.lookup)
        return self._planned(plan.batch, plan.ranges, arms, reason)

    @contextmanager
    def _versions(self, plan: Plan) -> Iterator[list[ServedModel]]:
        """Use the planned version of each arm."""
        with ExitStack() as stack:
            yield [self._version(arm.version.key, stack) for arm in plan.arms.arms]

    def _version(self, key: ModelKey, stack: ExitStack) -> ServedModel:
        """Use the slot's version if it is still there, or the arms' own, else one loaded for this batch alone."""
        try:
            return stack.enter_context(self._ports.slot.lease(key))
        except ModelNotFoundError:
            served = self._ports.arms.loaded(key)
        if served is None:
            served = self._ports.fallback.recall(key)
            stack.callback(self._ports.fallback.release, served)
        return served

    def _attempt(self, records: DataFrame, plan: Plan, served: list[ServedModel], watch: Stopwatch) -> BatchResult:
        scored_at = isoformat(self._ports.clock())
        if plan.arms.is_table or plan.arms.lookup is not None:
            # What a model throws is its own events' matter, in the task. Whatever else fails is no model's fault.
            return self._ports.program.run(records, BatchOrder(served[0], plan, scored_at, watch))
        proven = [
            self._known_good[arm.role](loaded, partial(loaded.decoder, records))
            for arm, loaded in zip(plan.arms.arms, served, strict=True)
        ]
        trusted = [self._trusted(own, frozenset({own.key})) for own in proven]
        model = self._trusted(self._together(trusted, plan.arms), plan.arms.keys)
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
            return program.run(records, replace(order, model=safe))

        return attempt(run, model, find, plan.arms)

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
        # The counts of many models would be far more than the rest of the record; they go to the metrics alone.
        is_table = plan.arms.is_table
        results = {
            p: PartitionOutcome(
                part.start,
                part.end,
                o.predictions,
                o.dead_letters,
                o.skipped,
                _segments(o),
                {} if is_table else o.arms,
            )
            for p, part in moved.items()
            for o in (outcomes.get(p, Outcome(segments={plan.id: (part.start, part.end)})),)
        }
        self._ports.ledger.record_outcome(plan, results, idle)


def _segments(outcome: Outcome) -> tuple[tuple[str, int, int], ...]:
    return tuple((plan, start, end) for plan, (start, end) in sorted(outcome.segments.items(), key=lambda s: s[1]))
