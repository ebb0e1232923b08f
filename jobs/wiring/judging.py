"""The judge of a rollout put together from the settings, and who is told of a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import structlog

from streaming.adapters.kafka.judging import JudgedTopics, KafkaJudgeTopics
from streaming.clock import Clock
from streaming.judging.book import BookRules
from streaming.judging.rounds import JudgeRounds, JudgeSubject
from streaming.rollout.verdict import RolloutVerdict
from streaming.settings import Settings

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
        labels=quality.labels,
    )
    with closing(KafkaJudgeTopics(settings.kafka, names, subject)) as topics:
        yield JudgeRounds(subject, topics, clock)


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
