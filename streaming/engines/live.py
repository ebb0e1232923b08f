"""The live engine: every record is scored as it comes, by a real-time query, and written at least once.

A model is fixed in a real-time query's plan, so another model is another query, a generation. The marks are the truth
here as in the exact engine: at each boundary of a generation, which is Spark's word that everything up to there is
written and acknowledged, the marks move there. A generation begins at the marks, after a crash and at a swap alike:

1. The younger one starts at the marks, once the older one is over a boundary and goes on.
2. When the younger one has written what was on the topic as it began, the older one is stopped where it is.
3. From then on the younger one's boundaries move the marks.

Whatever dies in between, everything from the marks on is scored by the next generation, so nothing is lost. What both
wrote, or a dead one had written since its last boundary, is there twice, with the same source offset in its headers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from streaming.delivery.marks import Mark, Writer
from streaming.engines.failures import Failures
from streaming.engines.generation import Generation
from streaming.engines.live_ports import LivePorts
from streaming.engines.planner import Planner
from streaming.engines.real_time import Boundary
from streaming.engines.report import BatchReport
from streaming.errors import ScoringError, UpstreamError
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import PartitionOutcome, Plan
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.offsets import OffsetRange
from streaming.spark.causes import is_broker_trouble

_PASSING = (PySparkException, Py4JJavaError, UpstreamError)
"""What a query ends with that may go well the next time."""
_POLL_SECONDS = 0.1
_GLANCE_SECONDS = 0.01
_SLOTS_SECONDS = 60.0
_STILL = 3
"""Boundaries in a row that may pass without progress while records come."""
_MENDED_AT_ONCE = 10_000
"""Offsets of a partition; what comes behind them is tried as a stream again."""
_WARM_UP_SECONDS = 1.0
"""A generation whose tasks have run for so long takes records as they come."""
_RESUMED_SECONDS = 10.0
"""The longest that a swap waits for the older generation to go on after a boundary."""
_CATCH_UP_SECONDS = 5.0
"""The longest that two generations run beside each other, once the younger one's tasks run; safety does not need it."""


class LiveEngine:
    """Runs generations, one after the other, until ``stopping`` is set; only the job's main thread uses it."""

    def __init__(self, ports: LivePorts, writer: Writer, failures: Failures, stopping: threading.Event) -> None:
        self._ports = ports
        self._writer = writer
        self._failures = failures
        self._stopping = stopping
        self._planner = Planner(writer, ports.clock)
        self._marks: dict[int, int] = {}
        self._stuck_at: dict[int, int] | None = None
        self._ends: dict[int, int] = {}
        self._still = 0

    def run(self) -> None:
        """Serve until asked to stop.

        Raises:
            DataError: going on would lose records.
            FencedError: another driver has taken over.
            ScoringError: the version throws, and no good one is left.
            UpstreamError: queries failed too often in a row.
        """
        while not self._stopping.is_set():
            try:
                self._serve()
            except _PASSING as problem:
                self._after_failure(problem)

    def _serve(self) -> None:
        """Run generations until one fails, the job is asked to stop, or the breaker opens."""
        self._ports.breaker.wait(self._stopping)
        if self._stopping.is_set():
            return
        self._marks = dict(self._ports.settle())
        generation = self._ports.generations.start(self._marks)
        self._ports.observer.query_started()
        try:
            while not self._stopping.is_set() and not self._ports.breaker.is_open:
                if self._take(generation) and self._is_outdated(generation):
                    generation = self._hand_over(generation)
            if self._stopping.is_set():
                self._await_boundary(generation)
        finally:
            generation.close()

    def _is_outdated(self, generation: Generation) -> bool:
        serving = self._ports.current()
        return serving is not None and serving is not generation.served

    def _await_boundary(self, generation: Generation) -> None:
        """Leave at a boundary, where nothing has to be written again; not longer than a batch may take."""
        deadline = time.monotonic() + 1.5 * generation.route.checkpoint_seconds
        while time.monotonic() < deadline and not self._take(generation):
            pass

    def _take(self, generation: Generation) -> bool:
        """Wait a moment, and record the boundary that the generation has passed, if it has."""
        boundary = generation.boundary(_POLL_SECONDS)
        if boundary is not None:
            self._reached("boundary")
            self._record(generation, boundary)
        return boundary is not None

    def _hand_over(self, older: Generation) -> Generation:
        """Return the generation that goes on: the younger one, or the older one if the younger fails."""
        # First, as the slot may change meanwhile: what is refused must be what was started.
        self._await_resumed(older)
        successor = self._ports.current()
        began, heads = time.monotonic(), self._ports.ends()
        with ExitStack() as trying:
            try:
                # A partition added since the older generation began has no mark, and begins at 0.
                younger = self._ports.generations.start({**dict.fromkeys(heads, 0), **self._marks})
                trying.callback(younger.close)
                self._reached("younger_started")
                waiting = self._run_both(older, younger, heads)
            except _PASSING as problem:
                if not older.query.isActive:
                    raise
                self._refuse(successor, problem)
                return older
            if waiting is None:
                return older
            trying.pop_all()
        self._reached("caught_up")
        older.close()
        self._reached("older_stopped")
        for boundary in waiting:
            self._record(younger, boundary)
        self._reached("handed_over")
        self._ports.observer.handed_over(older.served.version, younger.served.version, time.monotonic() - began)
        return younger

    def _await_resumed(self, generation: Generation) -> None:
        """Wait until a generation is past its boundary: the start of another query would lengthen its silence."""
        resumed: float | None = None
        deadline = time.monotonic() + _RESUMED_SECONDS
        while time.monotonic() < deadline and not self._stopping.is_set():
            self._take(generation)
            if not generation.is_running():
                resumed = None
            elif resumed is None:
                resumed = time.monotonic()
            elif time.monotonic() - resumed > _WARM_UP_SECONDS:
                return

    def _run_both(self, older: Generation, younger: Generation, heads: Mapping[int, int]) -> list[Boundary] | None:
        """Wait until the younger one has answered what was there as it began, or has had time enough.

        Returns:
            The boundaries that it passed meanwhile; ``None`` if the job is to stop, or no task slots come free.
        """
        waiting: list[Boundary] = []
        behind = {p: end for p, end in heads.items() if end > younger.starting.get(p, 0)}
        deadline = time.monotonic() + _SLOTS_SECONDS
        with closing(self._ports.watch(younger.served.version)) as arrivals:
            while not self._stopping.is_set():
                self._take(older)
                waiting += filter(None, [younger.boundary(_GLANCE_SECONDS)])
                busy, arrived = younger.busy_seconds(), arrivals.reached(behind)
                if busy > _CATCH_UP_SECONDS or (busy > _WARM_UP_SECONDS and arrived):
                    return waiting
                if not busy and time.monotonic() > deadline:
                    raise UpstreamError(f"no task slots came free for {younger.name} in {_SLOTS_SECONDS:.0f} s")
        return None

    def _refuse(self, wanted: ServedModel | None, problem: Exception) -> None:
        """Put a version on hold that failed as it took over; where Kafka failed, the next boundary tries again."""
        if wanted is None:
            return
        self._ports.observer.batch_failed(wanted.version, str(problem))
        if not is_broker_trouble(problem):
            why = f"{wanted.version} failed as it took over: {problem}"
            self._ports.roll_back(wanted.key, why)

    def _reached(self, step: str) -> None:
        self._ports.failpoints.reach(f"live.{step}")

    def _record(self, generation: Generation, boundary: Boundary) -> None:
        generation.prove()
        self._ports.observer.lag_measured(self._writer.topic, boundary.lag)
        self._advance(generation.served.version, generation.name, boundary)

    def _advance(self, version: ModelVersion, name: str, boundary: Boundary) -> None:
        """Move the marks to a boundary, never back: an older generation may have got further before."""
        self._failures.clear()
        moved = {p: part for p, part in boundary.ranges.items() if part.end > part.start}
        if not moved:
            self._check_progress()
            self._ports.observer.idle()
            return
        self._still = 0
        plan = self._planner.plan(name, boundary.batch, moved, PlannedArms.only(version))
        self._write_down(plan)
        report = BatchReport(
            batch=boundary.batch,
            plan=plan.id,
            version=plan.version,
            ranges=boundary.ranges,
            rows_in=boundary.rows,
            outcome=boundary.outcome,
            phases=boundary.phases,
            seconds=boundary.seconds,
        )
        self._ports.observer.batch_finished(report)
        self._ports.breaker.batch_finished(boundary.outcome)

    def _check_progress(self) -> None:
        """Fail when boundaries pass without progress: Spark may take tasks that fail one by one for an empty batch."""
        ends = self._ports.ends()
        grown = any(end > self._ends.get(p, end) for p, end in ends.items())
        self._still = self._still + 1 if grown else 0
        if self._still == 0:
            self._ends = dict(ends)
        if self._still >= _STILL:
            self._still = 0
            raise UpstreamError(f"{_STILL} boundaries passed and none of the records that came was answered")

    def _write_down(self, plan: Plan) -> None:
        self._ports.ledger.record_plan(plan)
        self._reached("planned")
        marks = {
            p: Mark.at(part.end, self._writer, plan.id, part.start)
            for p, part in plan.ranges.items()
            if part.end > self._marks.get(p, -1)
        }
        outcomes = {
            p: PartitionOutcome(part.start, part.end, segments=((plan.id, part.start, part.end),))
            for p, part in plan.ranges.items()
        }
        self._ports.ledger.record_outcome(plan, outcomes, marks)
        self._marks.update({p: mark.offset for p, mark in marks.items()})

    def _after_failure(self, problem: Exception) -> None:
        """Start again; if it fails again at the same place, find the rows it fails on, by small batches."""
        again = self._stuck_at == self._marks
        self._stuck_at = dict(self._marks)
        serving = self._ports.current()
        if serving is None or not again or is_broker_trouble(problem):
            self._failures.note(problem)
            return
        try:
            unanswered = self._unanswered()
            if any(part.end > part.start for part in unanswered.values()):
                self._advance(serving.version, "mend", self._ports.mend(serving, unanswered))
            else:
                self._failures.note(problem)  # it fails without a record
        except ScoringError as fault:
            self._roll_back(serving.version, fault)
        except _PASSING as other:
            self._failures.note(other)

    def _unanswered(self) -> dict[int, OffsetRange]:
        """Return what lies behind the marks, some of it: of every partition, as a batch must name them all."""
        ends = self._ports.ends()
        most = {p: min(ends.get(p, start), start + _MENDED_AT_ONCE) for p, start in self._marks.items()}
        return {p: OffsetRange(start, max(start, most[p])) for p, start in self._marks.items()}

    def _roll_back(self, version: ModelVersion, fault: ScoringError) -> None:
        self._ports.observer.batch_failed(version, str(fault))
        serving = self._ports.roll_back(version.key, str(fault))
        if serving is None or serving.key == version.key:
            raise fault
