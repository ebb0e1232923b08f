"""What the engine, the supervisor and Spark's listener report, brought to metrics, health and the log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from streaming.models.ref import ModelVersion
from streaming.operations.health import Health
from streaming.operations.metrics import FinishedBatch, Metrics
from streaming.operations.rollout_view import RolloutView

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_REFUSAL = re.compile(r'KafkaError\{code=(?P<code>\w+),val=-?\d+,str="(?P<said>[^"]*)"')
_JAVA_REFUSAL = re.compile(r"org\.apache\.kafka\.[\w.]+\.(?P<code>\w+Exception): (?P<said>.+)")


@dataclass(frozen=True)
class QueryProgress:
    """One trigger that had data. ``lag`` is, by topic and partition, what was on the topic and not in the batch."""

    batch: int
    rows: int
    seconds: float
    lag: Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class JobObserver:
    """The job's observer: the callbacks of the engine, the supervisor and the listener, all quick."""

    metrics: Metrics
    health: Health
    rollout: RolloutView = field(default_factory=RolloutView)
    also: list[Callable[[FinishedBatch], None]] = field(default_factory=list)
    """Functions that are called with every finished batch, too."""

    def rollout_at(self, summary: Mapping[str, Any]) -> None:
        """Note where the latest rollout stands."""
        self.rollout.show(summary)
        self.metrics.rollout_at(summary)

    def batch_finished(self, report: FinishedBatch) -> None:
        """Note a batch that is written and recorded."""
        self.metrics.batch_finished(report)
        self.health.query_progressed()
        for listener in self.also:
            listener(report)
        outcome = report.outcome
        _log.info(
            "batch finished",
            batch=report.batch,
            version=report.version.version,
            rows=report.rows_in,
            predictions=outcome.predictions,
            dead_letters=dict(outcome.dead_letters),
            degraded=dict(outcome.degraded),
            seconds=round(report.seconds, 3),
            phases={phase: round(seconds, 3) for phase, seconds in report.phases.items()},
        )

    def batch_failed(self, version: ModelVersion, problem: str) -> None:
        """An attempt at a batch failed in the model."""
        self.metrics.batch_failed(version)
        _log.error("batch failed in the model", version=version.version, problem=problem)

    def circuit_moved(self, version: ModelVersion, state: str, reason: str) -> None:
        """A version of the fallback chain is asked no more, is tried again, or is asked again."""
        self.metrics.circuit_moved(version, state)
        say = _log.error if state == "open" else _log.warning
        say("circuit moved", model=str(version), state=state, reason=reason)

    def rows_searched(self, seconds: float) -> None:
        """The rows on which the model throws were searched, found or not."""
        self.metrics.rows_searched(seconds)

    def invariant_broken(self, rows_in: int, rows_out: int) -> None:
        """A batch's rows in are not its rows out; the job stops."""
        self.metrics.invariant_broken()
        self.health.failed(f"a batch had {rows_in} rows in and {rows_out} out")
        _log.critical("rows in are not rows out", rows_in=rows_in, rows_out=rows_out)

    def rechecked(self, version: ModelVersion, events: int, different: int, example: str) -> None:
        """A sample was scored by both forms of a version; see :class:`streaming.engines.recheck.RecheckObserver`."""
        self.metrics.rechecked(events - different, different)
        if different:
            self.health.note(
                f"{version} answers otherwise than Spark's pipeline on sampled events; set model.scorer to spark"
            )
            _log.error(
                "the compiled form and Spark's pipeline differ",
                version=version.version,
                events=events,
                different=different,
                example=example,
            )

    def hung(self, seconds: float) -> None:
        """The JVM has answered nothing for so long; this process is of no more use."""
        self.health.failed(f"the JVM has answered nothing for {seconds:.0f} s (engine.hung_seconds)")
        _log.critical("the JVM hangs, so this driver gives the lease up and ends", silent_seconds=round(seconds, 1))

    def standing_by(self) -> None:
        """This driver is warm and waits for the lease."""
        self.health.query_stopped("standby: another driver of this application holds the lease")

    def lease_changed(self, *, held: bool) -> None:
        """The lease came or went; see :class:`streaming.operations.lease.LeaseObserver`."""
        self.metrics.lease_changed(held=held)

    def lease_taken(self, epoch: int, waited: float) -> None:
        """This driver fenced every earlier one, ``waited`` seconds after it was warm, and starts its query now."""
        self.metrics.lease_taken(epoch)
        self.health.query_stopped("the query has not started yet")
        _log.info("lease taken", epoch=epoch, waited_seconds=round(waited, 3))

    def records_skipped(self, partition: int, start: int, end: int, reason: str) -> None:
        """Offsets from ``start`` up to but not including ``end`` will never be scored."""
        self.metrics.records_skipped(end - start)
        _log.warning("records skipped", partition=partition, start=start, end=end, reason=reason)

    def query_started(self) -> None:
        """A query runs."""
        self.health.query_started()
        _log.info("query started")

    def query_failed(self, problem: str, pause: float) -> None:
        """A query failed and is started again after ``pause`` seconds."""
        self.metrics.query_restarted()
        refusal = _refusal(problem)
        first_line = next(iter(problem.splitlines()), "no message")
        self.health.query_failed(refusal or first_line, pause)
        # Spark appends the whole plan, thousands of words.
        trace = problem.partition("\n=== Streaming Query ===")[0]
        _log.error("query failed", pause_seconds=pause, problem=refusal or trace)
        if refusal:
            _log.debug("where the query failed", trace=trace)

    def outputs_seen(self, problem: str) -> None:
        """Note how the outputs' topics are; ``problem`` is empty if all is well, and is logged when it changes."""
        if problem == self.health.outputs_problem():
            return
        self.health.outputs(problem)
        if problem:
            _log.error("a topic cannot be used", problem=problem)
        else:
            _log.info("the topics can be used again")

    def paused(self, why: str) -> None:
        """The circuit breaker holds the next batch."""
        self.metrics.paused(paused=True)
        self.health.paused(f"paused: {why}")
        _log.error("paused", problem=why)

    def resumed(self) -> None:
        """Batches go on."""
        self.metrics.paused(paused=False)
        self.health.paused("")
        _log.info("resumed")

    def progressed(self, progress: QueryProgress) -> None:
        """A trigger with data ended."""
        self.health.query_progressed()
        for topic, lag in progress.lag.items():
            self.metrics.lag_measured(topic, lag)

    def lag_measured(self, topic: str, lag: Mapping[int, int]) -> None:
        """At a boundary of a real-time query, so many records were on the topic and not yet read."""
        self.metrics.lag_measured(topic, lag)

    def handed_over(self, before: ModelVersion, now: ModelVersion, arms: str, seconds: float) -> None:
        """Another generation serves, after both ran for ``seconds``; ``arms`` names its versions."""
        _log.info("handed over", before=before.version, version=now.version, arms=arms, seconds=round(seconds, 3))

    def idle(self) -> None:
        """A trigger found nothing to do."""
        self.health.query_progressed()
        self.metrics.caught_up()

    def terminated(self, problem: str | None) -> None:
        """The query ended; ``problem`` is ``None`` if it was asked to."""
        if problem is None:
            self.health.query_stopped("the query was stopped")


def _refusal(problem: str) -> str:
    """Return what Kafka's clients said, which stands below many lines of Spark's and Python's; empty if nothing."""
    match = _REFUSAL.search(problem) or _JAVA_REFUSAL.search(problem)
    return f"{match['said']} ({match['code']})" if match else ""
