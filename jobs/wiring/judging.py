"""The judge of a rollout put together from the settings, and who is told of its looks and verdicts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from streaming.adapters.kafka.judging import JudgedTopics, KafkaJudgeTopics
from streaming.clock import Clock
from streaming.errors import BrokerUnavailableError
from streaming.judging.book import BookRules
from streaming.judging.rounds import JudgeRounds, JudgeSubject
from streaming.operations.health import LookHealth
from streaming.operations.http import HttpServer, Listening
from streaming.operations.judge_metrics import JudgeMetrics
from streaming.operations.probes import probed_app
from streaming.rollout.evidence import SILENT_AFTER
from streaming.rollout.verdict import RolloutVerdict
from streaming.settings import Settings
from streaming.settings.judge import JudgeSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@contextmanager
def judge_rounds(settings: Settings, clock: Clock) -> Iterator[JudgeRounds]:
    """Yield what judges the application's rollout. Nothing is asked of the broker yet."""
    quality = settings.quality
    horizon, lateness = (timedelta(seconds=s) for s in (quality.horizon_seconds, quality.lateness_seconds))
    subject = JudgeSubject(settings.application, BookRules(horizon, lateness))
    names = JudgedTopics(
        ledger=settings.output.ledger,
        shadow=settings.shadow_topic,
        dead_letters=settings.dead_letter_topic,
        drift=settings.output.drift,
        labels=quality.labels,
    )
    with closing(KafkaJudgeTopics(settings.kafka, names, subject)) as topics:
        yield JudgeRounds(subject, topics, clock)


@dataclass(frozen=True)
class JudgeWatch:
    """Looks by a judge, and tells metrics, health and the log how that went."""

    rounds: JudgeRounds
    metrics: JudgeMetrics
    health: LookHealth

    def look(self) -> None:
        """Look once; a broker that does not answer is noted, as the next look reads everything again.

        Raises:
            ConfigurationError: the broker refuses us.
        """
        began = time.monotonic()
        try:
            verdict = self.rounds.look()
        except BrokerUnavailableError as problem:
            self.metrics.failed()
            self.health.failed(str(problem))
            # The rollout is held while the judge is silent.
            _log.warning("rollout cannot be judged for now", problem=str(problem))
            return
        self.health.looked()
        latest = None if self.rounds.latest is None else self.rounds.latest.to_dict()
        self.metrics.looked(time.monotonic() - began, self.rounds.lag(), latest)
        if verdict is not None:
            self.metrics.written(verdict.to_dict())
            tell_verdict(verdict)


@contextmanager
def judge_watch(settings: Settings, clock: Clock) -> Iterator[JudgeWatch]:
    """Yield a judge with its endpoint, where a port is set.

    Raises:
        SetupError: the port is taken.
    """
    metrics, health = JudgeMetrics(clock), LookHealth(clock, SILENT_AFTER.total_seconds())
    with _endpoint(settings.judge, metrics, health), judge_rounds(settings, clock) as rounds:
        yield JudgeWatch(rounds, metrics, health)


@contextmanager
def _endpoint(judge: JudgeSettings, metrics: JudgeMetrics, health: LookHealth) -> Iterator[None]:
    if judge.metrics_port is None:
        yield
        return
    app = probed_app(metrics.text, health)
    server = HttpServer(app, judge.metrics_host, judge.metrics_port, Listening(section="judge", prefix="metrics_"))
    server.start()
    try:
        yield
    finally:
        server.stop()


def tell_verdict(verdict: RolloutVerdict) -> None:
    """Log a verdict: what it finds, why, and what was counted."""
    _log.info(
        "rollout_verdict",
        rollout=verdict.rollout,
        weight_epoch=verdict.weight_epoch,
        finding=verdict.finding.value,
        why=verdict.why,
        **{name.replace(" ", "_"): gathered.count for name, gathered in verdict.evidence.items()},
    )
