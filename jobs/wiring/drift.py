"""The drift job put together from its settings: windows, rules, published records and receivers of alerts."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import structlog
from pyspark.sql import SparkSession

from jobs.wiring.drift_profiles import RegisteredProfiles
from jobs.wiring.starting import absolute
from schemas.drift import SummaryRecord
from streaming.adapters.drift_state import HadoopStateStore
from streaming.adapters.hooks import hooks_from
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.drift import KafkaDriftSink, read_alerts
from streaming.adapters.kafka.events import KafkaNews
from streaming.adapters.kafka.output_topics import output_topic
from streaming.clock import system_clock
from streaming.drift.alerts import Alerts
from streaming.drift.decision import ColumnRules, DetectionRules
from streaming.drift.frames import Watched
from streaming.drift.monitor import Monitor, MonitoredModel
from streaming.drift.query import DriftPorts, DriftQuery, DriftStream
from streaming.drift.states import Patience
from streaming.drift.windows import WindowSpec
from streaming.engines.checkpoint import Checkpoint, reader_for
from streaming.engines.failures import Restarts
from streaming.errors import ConfigurationError
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import DriftColumn, DriftSettings, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def drift_query(settings: Settings, spark: SparkSession, metrics: DriftMetrics, stack: ExitStack) -> DriftQuery:
    """Return the query; what it opens is closed with ``stack``.

    Raises:
        ConfigurationError: no registry is named, a hook cannot be found, or the checkpoint is of other topics.
        BrokerUnavailableError: what people were told before cannot be read.
    """
    application, model, output = settings.application, settings.model.name, settings.output
    checkpoint = absolute(checkpoint_of(settings))
    topics = {"output.predictions": output.predictions, "output.dead_letters": settings.dead_letter_topic}
    there = Checkpoint(checkpoint, output.predictions, reader_for(spark, checkpoint))
    there.require_own(topics, "drift.checkpoint")
    subject = MonitoredModel(application, model, shape_of(settings.drift), rules_of(settings.drift))
    profiles, sink = RegisteredProfiles(settings.model), KafkaDriftSink(settings.kafka, output.drift)
    monitor = Monitor(subject, profiles, sink, HadoopStateStore(spark, checkpoint))
    ports = DriftPorts(spark, system_clock, metrics, (metrics.closed, tell, _alerts(settings, stack)))
    restarts = Restarts(settings.engine.restart_seconds, settings.engine.max_restarts)
    return DriftQuery(drift_stream(settings, checkpoint), monitor, ports, restarts)


def drift_stream(settings: Settings, checkpoint: str) -> DriftStream:
    """Return what is read, and how; ``checkpoint`` is a URI."""
    drift, output = settings.drift, settings.output
    return DriftStream(
        name=f"{settings.application}-drift",
        options=spark_options(settings.kafka),
        watched=Watched(settings.application, settings.model.name, output.predictions, settings.dead_letter_topic),
        checkpoint=checkpoint,
        tile_ms=shape_of(drift).slide,
        starting=drift.starting,
        max_rows=drift.max_rows_per_batch,
        every_seconds=drift.trigger_seconds,
    )


def checkpoint_of(settings: Settings) -> str:
    """Return where the query keeps its state, a path or a URI."""
    return settings.drift.checkpoint or f".penstock/checkpoints/{settings.application}-drift"


def _alerts(settings: Settings, stack: ExitStack) -> Alerts:
    topic, hooks = KafkaNews(settings.kafka, settings.output.drift), hooks_from(settings.hooks, system_clock)
    stack.callback(topic.close)
    for hook in hooks:
        stack.callback(hook.close)
    # Other applications and models may share the topic.
    whose = (settings.application, settings.model.name)
    sent = read_alerts(settings.kafka, settings.output.drift)
    return Alerts([topic, *hooks], [alert for alert in sent if (alert.window.application, alert.window.model) == whose])


def tell(summary: SummaryRecord) -> None:
    """Log a window that was closed."""
    window = summary.window
    log = _log.warning if summary.moved else _log.info
    log(
        "drift_window",
        state=summary.state,
        start=window.start,
        end=window.end,
        version=window.version,
        rows=summary.rows,
        invalid=summary.invalid,
        late=summary.late,
        moved=list(summary.moved),
        cause=summary.cause,
    )


def shape_of(drift: DriftSettings) -> WindowSpec:
    """Return the windows' shape in milliseconds."""
    slide = drift.slide_seconds or drift.window_seconds
    return WindowSpec(
        drift.window_seconds * 1000, slide * 1000, drift.lateness_seconds * 1000, drift.idle_seconds * 1000
    )


def rules_of(drift: DriftSettings) -> DetectionRules:
    """Return the rules, each column's where it has its own."""
    every = ColumnRules(drift.min_rows, drift.negligible, Patience(drift.enter, drift.leave))
    overrides = {name: _overridden(every, column) for name, column in drift.columns.items()}
    return DetectionRules(drift.chance, every, overrides, drift.max_invalid_share)


def _overridden(rules: ColumnRules, column: DriftColumn) -> ColumnRules:
    patience = Patience(column.enter or rules.patience.enter, column.leave or rules.patience.leave)
    negligible = rules.negligible if column.negligible is None else column.negligible
    min_rows = column.min_rows or rules.min_rows
    return replace(rules, min_rows=min_rows, negligible=negligible, patience=patience, ignore=column.ignore)


def prepare_topics(settings: Settings, admin: KafkaAdmin) -> None:
    """Look for the topics that are read, and create the one that is written.

    Raises:
        ConfigurationError: a topic is missing.
        BrokerUnavailableError: Kafka does not answer.
    """
    for name in (settings.output.predictions, settings.dead_letter_topic):
        if admin.topic(name) is None:
            raise ConfigurationError(
                f"there is no topic {name!r}: start the scoring job first, which makes it, or correct output.*"
            )
    output = settings.output
    output_topic(output, admin, output.drift, 1, {"retention.ms": str(output.retention_ms)})
