"""The live engine: every record is scored as it comes, by a real-time query, and written at least once.

A model is fixed in a real-time query's plan, so another model is another query, a generation. The marks are the truth
here as in the exact engine: at each boundary of a generation, which is Spark's word that everything up to there is
written and acknowledged, the marks move there. A generation begins at the marks, after a crash and at a swap alike:

1. The younger one starts at the marks, right after a boundary, while the older one goes on.
2. When the younger one has written what was on the topic as it began, the older one is stopped where it is.
3. From then on the younger one's boundaries move the marks.

Whatever dies in between, everything from the marks on is scored by the next generation, so nothing is lost. What both
wrote, or a dead one had written since its last boundary, is there twice, with the same source offset in its headers.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pyspark.errors import PySparkException, StreamingQueryException

from streaming.clock import Clock, isoformat
from streaming.delivery.ledger import Ledger, PartitionOutcome, Plan
from streaming.delivery.marks import Mark, Writer
from streaming.engines.breaker import Breaker
from streaming.engines.failures import Failures
from streaming.engines.generation import Generation, Generations
from streaming.engines.mend import Mend
from streaming.engines.real_time import Boundary
from streaming.engines.report import BatchObserver, BatchReport
from streaming.errors import ScoringError, UpstreamError
from streaming.failpoints import OFF, Failpoints
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.offsets import OffsetRange

_POLL_SECONDS = 0.1
_GLANCE_SECONDS = 0.01
_WARM_UP_SECONDS = 1.0
"""A younger generation whose tasks have run for so long takes records as they come."""
_CATCH_UP_SECONDS = 5.0
"""The longest that two generations run beside each other, once the younger one's tasks run; safety does not need it."""


class Arrivals(Protocol):
    """Watches the outputs for one version's; ``adapters/kafka_arrivals.py`` implements it."""

    def reached(self, ends: Mapping[int, int]) -> bool:
        """Whether outputs up to ``ends`` (exclusive) of each input partition have been seen."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


class LiveObserver(BatchObserver, Protocol):
    """Who wants to know, beside of the batches, of queries and lag."""

    def query_started(self) -> None:
        """A query runs."""
        ...

    def handed_over(self, before: ModelVersion, now: ModelVersion, seconds: float) -> None:
        """Another generation has taken over, after both ran for ``seconds``."""
        ...

    def lag_measured(self, topic: str, lag: Mapping[int, int]) -> None:
        """At a boundary, so many records were on the topic and not yet read."""
        ...


class Fallback(Protocol):
    """The last good version; ``models/follower.py`` implements it."""

    def roll_back(self, failed: int, detail: str) -> ServedModel | None:
        """Serve the last good version from now on; ``None`` where there is none."""
        ...


@dataclass(frozen=True)
class LivePorts:
    """What the engine is connected to.

    ``settle`` brings the marks in order and returns them; ``ends`` are the topic's; ``watch`` opens :class:`Arrivals`
    for a version's outputs from now on.
    """

    generations: Generations
    fallback: Fallback
    ledger: Ledger
    mend: Mend
    settle: Callable[[], Mapping[int, int]]
    ends: Callable[[], Mapping[int, int]]
    watch: Callable[[ModelVersion], Arrivals]
    current: Callable[[], ServedModel | None]
    observer: LiveObserver
    breaker: Breaker
    clock: Clock
    failpoints: Failpoints = OFF


class LiveEngine:
    """Runs generations, one after the other, until ``stopping`` is set; only the job's main thread uses it."""

    def __init__(self, ports: LivePorts, writer: Writer, failures: Failures, stopping: threading.Event) -> None:
        self._ports = ports
        self._writer = writer
        self._failures = failures
        self._stopping = stopping
        self._plans = itertools.count(1)
        self._marks: dict[int, int] = {}
        self._stuck_at: dict[int, int] | None = None

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
            except (PySparkException, UpstreamError) as problem:
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
        began = time.monotonic()
        heads = {p: end for p, end in self._ports.ends().items() if end > self._marks.get(p, 0)}
        younger = self._ports.generations.start(dict(self._marks))
        self._reached("younger_started")
        arrivals = self._ports.watch(younger.served.version)
        waiting: list[Boundary] = []
        try:
            while not (arrivals.reached(heads) and younger.busy_seconds() > _WARM_UP_SECONDS):
                if younger.busy_seconds() > _CATCH_UP_SECONDS:
                    break
                self._take(older)
                waiting += filter(None, [younger.boundary(_GLANCE_SECONDS)])
        except StreamingQueryException as problem:
            younger.close()
            if older.query.exception() is not None:
                raise
            self._refuse(younger, problem)
            return older
        except BaseException:
            younger.close()
            raise
        finally:
            arrivals.close()
        self._reached("caught_up")
        older.close()
        self._reached("older_stopped")
        for boundary in waiting:
            self._record(younger, boundary)
        self._reached("handed_over")
        self._ports.observer.handed_over(older.served.version, younger.served.version, time.monotonic() - began)
        return younger

    def _reached(self, step: str) -> None:
        self._ports.failpoints.reach(f"live.{step}")

    def _refuse(self, younger: Generation, problem: Exception) -> None:
        version = younger.served.version
        self._ports.observer.batch_failed(version, str(problem))
        if self._ports.fallback.roll_back(version.version, f"{version} failed as it took over: {problem}") is None:
            self._failures.note(problem)

    def _record(self, generation: Generation, boundary: Boundary) -> None:
        """Move the marks to a boundary, never back: an older generation may have got further before."""
        moved = {p: part for p, part in boundary.ranges.items() if part.end > part.start}
        plan = self._plan(generation.served.version, generation.name, boundary.batch, moved)
        self._write_down(plan)
        report = BatchReport(
            boundary.batch, plan.id, plan.version, boundary.ranges, boundary.rows, boundary.outcome, boundary.phases,
            boundary.seconds,
        )  # fmt: skip
        generation.prove()
        self._ports.observer.batch_finished(report)
        self._ports.observer.lag_measured(self._writer.topic, boundary.lag)
        self._ports.breaker.batch_finished(boundary.outcome)
        self._failures.clear()

    def _plan(self, version: ModelVersion, name: str, batch: int, ranges: Mapping[int, OffsetRange]) -> Plan:
        source = self._writer.application, self._writer.topic, self._writer.topic_id
        number = f"{self._writer.epoch}.{next(self._plans)}"
        return Plan(number, *source, name, batch, ranges, version, isoformat(self._ports.clock()))

    def _write_down(self, plan: Plan) -> None:
        self._ports.ledger.record_plan(plan)
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
        if not again or _is_broker_trouble(problem):
            self._failures.note(problem)
            return
        serving = self._ports.current()
        if serving is None:
            raise problem
        try:
            self._mend(serving)
        except ScoringError as fault:
            self._roll_back(serving.version, fault)

    def _mend(self, served: ServedModel) -> None:
        ends = self._ports.ends()
        ranges = {p: OffsetRange(start, max(start, ends.get(p, start))) for p, start in self._marks.items()}
        outcome, seconds = self._ports.mend(served, ranges)
        plan = self._plan(served.version, "mend", 0, ranges)
        self._write_down(plan)
        self._ports.observer.batch_finished(
            BatchReport(0, plan.id, plan.version, ranges, outcome.rows, outcome, {"mend": seconds}, seconds)
        )

    def _roll_back(self, version: ModelVersion, fault: ScoringError) -> None:
        self._ports.observer.batch_failed(version, str(fault))
        serving = self._ports.fallback.roll_back(version.version, str(fault))
        if serving is None or serving.version.version == version.version:
            raise fault


def _is_broker_trouble(problem: Exception) -> bool:
    """Whether a Kafka client raised it; the model has no part in that."""
    return isinstance(problem, UpstreamError) or "org.apache.kafka" in str(problem)
