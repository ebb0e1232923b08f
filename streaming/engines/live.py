"""The live engine: every record is scored as it comes, by a real-time query, and written at least once.

A model is fixed in a real-time query's plan, so another model is another query, a generation. So are other arms of a
rollout. The marks are the truth here as in the exact engine: at each boundary of a generation, which is Spark's word
that everything up to there is written and acknowledged, the marks move there. A generation begins at the marks, after a
crash, at a swap and at a rollout's next step alike:

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

from streaming.delivery.marks import Writer
from streaming.engines.failures import Failures
from streaming.engines.generation import Generation
from streaming.engines.live_marks import LiveMarks
from streaming.engines.live_ports import LivePorts
from streaming.engines.real_time import Boundary
from streaming.errors import ScoringError, UpstreamError
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.spark.causes import is_broker_trouble

_PASSING = (PySparkException, Py4JJavaError, UpstreamError)
"""What a query ends with that may go well the next time."""
_POLL_SECONDS = 0.1
_GLANCE_SECONDS = 0.01
_SLOTS_SECONDS = 60.0
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
        self._marks = LiveMarks(ports, writer)
        self._stuck_at: Mapping[int, int] | None = None

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
        self._marks.settle()
        generation = self._ports.generations.start(self._marks.offsets)
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
        return self._ports.versions.differ_from(generation.scoring)

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
        self._await_resumed(older)
        # Before the start: what is refused must be what was started, and the slot may change meanwhile.
        successor = self._ports.versions.planned()
        began, heads = time.monotonic(), self._ports.ends()
        with ExitStack() as trying:
            try:
                # A partition added since the older generation began has no mark, and begins at 0.
                younger = self._ports.generations.start({**dict.fromkeys(heads, 0), **self._marks.offsets})
                trying.callback(younger.close)
                self._reached("younger_started")
                waiting = self._run_both(older, younger, heads)
            except _PASSING as problem:
                if not older.query.isActive:
                    raise
                self._refuse(successor, older.scoring.arms, problem)
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
        before, now = older.scoring.arms, younger.scoring.arms
        seconds = time.monotonic() - began
        self._ports.observer.handed_over(before.champion.version, now.champion.version, str(now), seconds)
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
        with closing(self._ports.watch(younger.scoring.arms)) as arrivals:
            while not self._stopping.is_set():
                self._take(older)
                waiting += filter(None, [younger.boundary(_GLANCE_SECONDS)])
                busy, arrived = younger.busy_seconds(), arrivals.reached(behind)
                if busy > _CATCH_UP_SECONDS or (busy > _WARM_UP_SECONDS and arrived):
                    return waiting
                if not busy and time.monotonic() > deadline:
                    raise UpstreamError(f"no task slots came free for {younger.name} in {_SLOTS_SECONDS:.0f} s")
        return None

    def _refuse(self, successor: PlannedArms | None, older: PlannedArms, problem: Exception) -> None:
        """Do without what failed as it took over: the candidate, or else the version, which is put on hold.

        Where Kafka failed, or the version is the older one's, the next boundary tries again.
        """
        if successor is None:
            return
        for arm in successor.arms:
            self._ports.observer.batch_failed(arm.version, str(problem))
        if is_broker_trouble(problem):
            return
        why = f"{successor} failed as it took over: {problem}"
        if len(successor.arms) > 1:
            self._ports.versions.give_up(why)
        elif successor.champion.version != older.champion.version:
            self._ports.roll_back(successor.champion.version.key, why)

    def _reached(self, step: str) -> None:
        self._ports.failpoints.reach(f"live.{step}")

    def _record(self, generation: Generation, boundary: Boundary) -> None:
        generation.prove()
        self._ports.observer.lag_measured(self._writer.topic, boundary.lag)
        self._advance(generation.scoring.arms, generation.name, boundary)

    def _advance(self, arms: PlannedArms, name: str, boundary: Boundary) -> None:
        self._failures.clear()
        self._marks.advance(arms, name, boundary)

    def _after_failure(self, problem: Exception) -> None:
        """Start again; if it fails again at the same place, find the rows it fails on, by small batches."""
        again = self._stuck_at == self._marks.offsets
        self._stuck_at = self._marks.offsets
        planned = self._ports.versions.planned()
        if planned is None or not again or is_broker_trouble(problem):
            self._failures.note(problem)
            return
        try:
            self._mend(problem)
        except ScoringError as fault:
            self._do_without(planned, fault)
        except _PASSING as other:
            self._failures.note(other)

    def _mend(self, problem: Exception) -> None:
        """Score a stretch behind the marks as a batch; without a record in it, ``problem`` is not a row's fault."""
        unanswered = self._marks.unanswered(_MENDED_AT_ONCE)
        if all(part.end == part.start for part in unanswered.values()):
            raise problem
        with self._ports.versions.leased() as scoring:
            self._advance(scoring.arms, "mend", self._ports.mend(scoring, unanswered))

    def _do_without(self, arms: PlannedArms, fault: ScoringError) -> None:
        """Give the candidate up, or where there is none go back to the last good version."""
        for arm in arms.arms:
            self._ports.observer.batch_failed(arm.version, str(fault))
        if len(arms.arms) > 1:
            self._ports.versions.give_up(str(fault))
        else:
            self._roll_back(arms.champion.version, fault)

    def _roll_back(self, version: ModelVersion, fault: ScoringError) -> None:
        serving = self._ports.roll_back(version.key, str(fault))
        if serving is None or serving.key == version.key:
            raise fault
