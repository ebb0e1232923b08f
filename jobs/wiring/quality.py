"""``penstock quality`` put together from the settings: topics, rules, and who is told of a window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from jobs.wiring.metrics_port import serve_metrics
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.cohorts import CohortTopics, KafkaCohorts
from streaming.adapters.kafka.output_topics import output_topic
from streaming.adapters.kafka.quality import quality_sink
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import Clock, isoformat
from streaming.errors import ConfigurationError
from streaming.operations.quality_metrics import QualityMetrics
from streaming.quality.cohort import EarlyCohort, MatureCohort, MeasuringRules
from streaming.quality.rounds import QualityRounds, QualitySubject
from streaming.quality.windows import WindowShape
from streaming.settings import QualitySettings, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@contextmanager
def quality_rounds(settings: Settings, clock: Clock) -> Iterator[QualityRounds]:
    """Yield what measures windows and publishes them.

    Raises:
        ConfigurationError: a topic is missing, or no labels' topic is set.
        BrokerUnavailableError: Kafka does not answer.
    """
    output, subject = settings.output, quality_subject(settings)
    admin = KafkaAdmin(settings.kafka, settings.application)
    topics = cohort_topics(settings, admin)
    output_topic(output, admin, output.quality, 1, {"retention.ms": str(output.retention_ms)})
    whose = settings.application, settings.model.name
    with (
        KafkaScan(settings.kafka, settings.application) as scan,
        quality_sink(settings.kafka, output.quality, whose) as sink,
    ):
        yield QualityRounds(subject, KafkaCohorts(scan, topics, subject), sink, clock)


def cohort_topics(settings: Settings, admin: KafkaAdmin) -> CohortTopics:
    """Return the topics of predictions, labels and events.

    Raises:
        ConfigurationError: no labels' topic is set, or one of the first two is missing.
        BrokerUnavailableError: Kafka does not answer.
    """
    predictions, labels = settings.output.predictions, settings.quality.labels
    if labels is None:
        raise ConfigurationError("quality.labels is not set: name the topic on which the labels are (docs/quality.md)")
    for name, setting in ((predictions, "output.predictions"), (labels, "quality.labels")):
        if admin.topic(name) is None:
            raise ConfigurationError(f"there is no topic {name!r}; create it, or correct {setting}")
    return CohortTopics(predictions, labels, settings.input.topic)


def quality_subject(settings: Settings) -> QualitySubject:
    """Return whose predictions are measured, and how."""
    quality = settings.quality
    shape = WindowShape(timedelta(seconds=quality.window_seconds), timedelta(seconds=quality.horizon_seconds))
    return QualitySubject(
        application=settings.application,
        model=settings.model.name,
        shape=shape,
        lateness=timedelta(seconds=quality.lateness_seconds),
        rules=MeasuringRules(quality.positive, quality.slice, quality.most_slices),
    )


def served_metrics(quality: QualitySettings) -> QualityMetrics:
    """Return the metrics, answered on the port that is set.

    Raises:
        ConfigurationError: the port is taken.
    """
    metrics = QualityMetrics()
    serve_metrics(metrics, quality.metrics_host, quality.metrics_port, "quality.metrics_port")
    return metrics


def tell_window(cohort: MatureCohort | EarlyCohort) -> None:
    """Log a window: each version of a mature one, or why one is not published."""
    start, end = isoformat(cohort.window.start), isoformat(cohort.window.end)
    if isinstance(cohort, EarlyCohort):
        _log.warning("quality_window_held", start=start, end=end, why=cohort.why)
        return
    for version in cohort.versions:
        figures = {figure.name: round(figure.value, 6) for figure in version.metrics if figure.value is not None}
        _log.info(
            "quality_window",
            start=start,
            end=end,
            version=version.version,
            role=version.role,
            events=version.events,
            labelled=version.labelled,
            **figures,
        )
