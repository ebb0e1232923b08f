"""``penstock shadow`` put together from the settings: topics, versions, rounds, and who is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import structlog

from jobs.wiring.in_process import in_process_preparation, require_no_spark
from jobs.wiring.lookups import require_no_lookup
from jobs.wiring.metrics_port import serve_metrics
from schemas.shadow_prediction import ShadowPrediction
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.events_at import KafkaEvents
from streaming.adapters.kafka.ledger_tail import LedgerTail
from streaming.adapters.kafka.output_topics import output_topic, require_all_kept
from streaming.adapters.kafka.shadow import KafkaShadow, ends_of, kafka_shadow
from streaming.clock import Clock
from streaming.errors import ConfigurationError
from streaming.models.registry import ModelRegistry
from streaming.models.rollout_versions import checked_version
from streaming.operations.shadow_metrics import ShadowMetrics
from streaming.outputs.targets import Target
from streaming.settings import Settings
from streaming.shadow.pairing import PairingRules, SkipReason
from streaming.shadow.rounds import ShadowRounds
from streaming.shadow.served import ServedReader
from streaming.shadow.versions import ShadowVersions

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_MOST = 2_000
"""Answers of a round; they and their events are in memory together."""
_LOOK_SECONDS = 0.5
_TELL_SECONDS = 60.0


@dataclass
class ShadowNews:
    """Implements :class:`streaming.shadow.rounds.ShadowObserver`: metrics, and once in a while a line in the log."""

    metrics: ShadowMetrics
    _logged_at: float = field(default_factory=time.monotonic)

    def paired(self, pair: ShadowPrediction) -> None:
        """Count it."""
        self.metrics.paired(pair)

    def skipped(self, reason: SkipReason, count: int) -> None:
        """Count them, and say so the first time."""
        if reason is not SkipReason.SHARE and reason.value not in self.metrics.passed_over:
            _log.warning("shadow_skips", reason=reason.value, count=count)
        self.metrics.skipped(reason.value, count)

    def lag(self, seconds: float) -> None:
        """Keep it, and log once a minute how far the shadow is."""
        self.metrics.lag(seconds)
        if time.monotonic() - self._logged_at >= _TELL_SECONDS:
            self._logged_at = time.monotonic()
            _log.info("shadow", lag_seconds=round(seconds, 1), **self.summary())

    def summary(self) -> dict[str, Any]:
        """Return what was counted since the start."""
        return {"pairs": dict(self.metrics.pairs), "skipped": dict(self.metrics.passed_over)}


@dataclass(frozen=True)
class ShadowRun:
    """A shadow that is ready to begin."""

    settings: Settings
    kafka: KafkaShadow
    rounds: ShadowRounds
    news: ShadowNews

    def once(self, stopping: Event) -> None:
        """Pair what is on the topics now, unless asked to stop before; raises as :meth:`until`."""
        ends, reader = ends_of(self.settings.kafka, answered_on(self.settings)), self._reader()
        while not (stopping.is_set() or self.kafka.has_reached(ends)):
            self._round(reader)

    def until(self, stopping: Event) -> None:
        """Pair what comes, until asked to stop.

        Raises:
            FencedError: another shadow of this application has begun.
            UpstreamError: the broker or the registry does not answer.
        """
        reader = self._reader()
        while not stopping.is_set():
            self._round(reader)

    def summary(self) -> dict[str, Any]:
        """Return what was done, for people and scripts."""
        refused = {str(key): why for key, why in self.rounds.versions.refused.items()}
        return {"application": self.settings.application, **self.news.summary(), "refused": refused}

    def _reader(self) -> ServedReader:
        return ServedReader(self.settings.application, self.settings.event.id)

    def _round(self, reader: ServedReader) -> None:
        chunk = self.kafka.read(reader, _MOST, _LOOK_SECONDS)
        if chunk is not None:
            self.rounds.take(chunk)


@contextmanager
def shadow_run(settings: Settings, models: ModelRegistry, clock: Clock) -> Iterator[ShadowRun]:
    """Yield a shadow that loads versions from ``models``, and close what it opened.

    Raises:
        ConfigurationError: the settings are wrong, a topic is missing, or a port is taken.
        BrokerUnavailableError: Kafka does not answer.
    """
    require_no_spark(settings, "shadow run")
    require_no_lookup(settings, "shadow run")
    application, metrics = settings.application, ShadowMetrics()
    serve_metrics(metrics, settings.shadow.metrics_host, settings.shadow.metrics_port, "shadow.metrics_port")
    checks = in_process_preparation(settings)
    versions = ShadowVersions(partial(checked_version, models, checks), checks.release)
    to, news = shadow_target(settings), ShadowNews(metrics)
    tail = LedgerTail(settings.kafka, settings.output.ledger, application)
    events = KafkaEvents(settings.kafka, settings.input.topic, f"{application}.shadow-events")
    try:
        with kafka_shadow(settings.kafka, application, answered_on(settings), to) as kafka:
            rounds = ShadowRounds(
                application=application,
                topic=settings.input.topic,
                rules=pairing_rules(settings),
                ledger=tail.to_end,
                versions=versions,
                events=events,
                sink=kafka,
                observer=news,
                clock=clock,
            )
            yield ShadowRun(settings, kafka, rounds, news)
    finally:
        events.close()
        tail.close()
        versions.close()


def answered_on(settings: Settings) -> tuple[str, str]:
    """Return the topics on which the job's answers are."""
    return settings.output.predictions, settings.dead_letter_topic


def pairing_rules(settings: Settings) -> PairingRules:
    """Return what bounds the cost."""
    seconds = settings.shadow.max_lag_seconds
    return PairingRules(settings.shadow.share, None if seconds is None else timedelta(seconds=seconds))


def shadow_target(settings: Settings) -> Target:
    """Return the shadow's topic, created where it is missing and that is allowed.

    Raises:
        ConfigurationError: it or one that is read is missing, or it would not keep every pair.
        BrokerUnavailableError: Kafka does not answer.
    """
    output, admin = settings.output, KafkaAdmin(settings.kafka, settings.application)
    source = admin.required_topic(settings.input.topic)
    needed = {"output.predictions": output.predictions, "output.ledger": output.ledger}
    for setting, name in {**needed, "output.dead_letters": settings.dead_letter_topic}.items():
        if admin.topic(name) is None:
            raise ConfigurationError(f"there is no topic {name!r}; start the job, which makes it, or correct {setting}")
    retention = {"retention.ms": str(output.retention_ms)}
    target = admin.target(output_topic(output, admin, settings.shadow_topic, source.partitions, retention))
    require_all_kept(target, "output.shadow", "pairs of one key would replace each other")
    return target
