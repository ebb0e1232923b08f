"""The live engine's marks: each boundary moves them there, in one transaction with the ledger's record of it."""

from __future__ import annotations

from collections.abc import Mapping

from streaming.delivery.marks import Mark, Writer
from streaming.delivery.outcome import ArmOutcome, Outcome
from streaming.engines.live_ports import LivePorts
from streaming.engines.planner import Planner
from streaming.engines.real_time import Boundary
from streaming.engines.report import BatchReport
from streaming.errors import UpstreamError
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import PartitionOutcome, Plan
from streaming.offsets import OffsetRange, Ranges

_STILL = 3
"""Boundaries in a row that may pass without progress while records come."""


class LiveMarks:
    """The first offset of each partition that no boundary has passed; only the engine's thread uses it."""

    def __init__(self, ports: LivePorts, writer: Writer) -> None:
        self._ports = ports
        self._writer = writer
        self._planner = Planner(writer, ports.clock)
        self._offsets: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._still = 0

    @property
    def offsets(self) -> Mapping[int, int]:
        """The marks by partition."""
        return dict(self._offsets)

    def settle(self) -> None:
        """Read the marks anew, as they are on the broker."""
        self._offsets = dict(self._ports.settle())

    def advance(self, arms: PlannedArms, name: str, boundary: Boundary) -> None:
        """Move the marks to a boundary, never back: an older generation may have got further before.

        Raises:
            UpstreamError: boundary after boundary passes, and none of the records that come is answered.
        """
        moved = {p: part for p, part in boundary.ranges.items() if part.end > part.start}
        if not moved:
            self._check_progress()
            self._ports.observer.idle()
            return
        self._still = 0
        plan = self._planner.plan(name, boundary.batch, moved, arms)
        self._write_down(plan, boundary.outcome)
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

    def unanswered(self, most: int) -> Ranges:
        """Return what lies behind the marks, up to ``most`` offsets of each partition; some ranges may be empty."""
        ends = self._ports.ends()
        last = {p: min(ends.get(p, start), start + most) for p, start in self._offsets.items()}
        return {p: OffsetRange(start, max(start, last[p])) for p, start in self._offsets.items()}

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

    def _write_down(self, plan: Plan, outcome: Outcome) -> None:
        self._ports.ledger.record_plan(plan)
        self._ports.failpoints.reach("live.planned")
        marks = {
            p: Mark.at(part.end, self._writer, plan.id, part.start)
            for p, part in plan.ranges.items()
            if part.end > self._offsets.get(p, -1)
        }
        outcomes = {
            p: PartitionOutcome(part.start, part.end, segments=((plan.id, part.start, part.end),))
            for p, part in plan.ranges.items()
        }
        self._ports.ledger.record_outcome(plan, outcomes, marks, self._evidence(plan, outcome))
        self._offsets.update({p: mark.offset for p, mark in marks.items()})

    def _evidence(self, plan: Plan, outcome: Outcome) -> Mapping[str, ArmOutcome] | None:
        """Return what counts as a rollout's evidence, ``None`` outside of one.

        What another generation has answered, too, counts there alone. So the counts are never too high.
        """
        if plan.arms.weights is None:
            return None
        is_repeated = any(part.start < self._offsets.get(p, part.start) for p, part in plan.ranges.items())
        return {} if is_repeated else outcome.arms
