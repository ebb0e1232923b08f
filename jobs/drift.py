"""``penstock drift run``: drift by windows, also as ``spark-submit jobs/drift.py --config penstock.yaml``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from jobs.config import load_settings
from jobs.drift_profiles import RegisteredProfiles
from jobs.drift_query import DriftQuery, Wiring
from jobs.logs import configure_logging
from jobs.session import session
from jobs.setup import jars
from jobs.starting import absolute
from jobs.stopping import StopRequest, children_ignore_signals
from schemas.drift import SummaryRecord
from streaming.adapters.drift_state import HadoopStateStore
from streaming.adapters.kafka import KafkaAdmin
from streaming.adapters.kafka_drift import KafkaDriftSink
from streaming.clock import system_clock
from streaming.drift.decision import ColumnRules, Rules
from streaming.drift.frames import Watched
from streaming.drift.monitor import Monitor, Subject
from streaming.drift.states import Patience
from streaming.drift.windows import Shape
from streaming.errors import ConfigurationError
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import Settings
from streaming.settings_drift import DriftColumn, DriftSettings

HOME = Path(".penstock")
SPARK_LOG = HOME / "drift-spark.log"
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def run(config: Path | None, overrides: Sequence[str], *, once: bool) -> None:
    """Watch the predictions until asked to stop; or ``once``: what there is now, and close every window.

    Raises:
        ConfigurationError: the settings or the topics are wrong; Spark was not started.
        UpstreamError: Kafka or the registry does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    watch(settings, stopping, once=once)


def watch(settings: Settings, stopping: StopRequest, *, once: bool) -> None:
    """Run with settings that are loaded; raises as :func:`run`."""
    admin = KafkaAdmin(settings.kafka, settings.application)
    _prepare_topics(settings, admin)
    profiles, metrics = RegisteredProfiles(settings.model), DriftMetrics()
    if settings.drift.metrics_port is not None and not once:
        metrics.serve(settings.drift.metrics_host, settings.drift.metrics_port)
    name = f"{settings.application}-drift"
    checkpoint = absolute(settings.drift.checkpoint or f".penstock/checkpoints/{name}")
    with ExitStack() as stack:
        with children_ignore_signals():
            started = session(settings, name, SPARK_LOG, lambda: map(Path, jars(HOME).connector_jars()))
            spark = stack.enter_context(started)
        stopping.listen()  # again: Spark's own handler for Ctrl-C took its place
        subject = Subject(settings.application, settings.model.name, shape_of(settings.drift), rules_of(settings.drift))
        sink = KafkaDriftSink(settings.kafka, settings.output.drift)
        monitor = Monitor(subject, profiles, sink, HadoopStateStore(spark, checkpoint))
        watched = Watched(
            settings.application, settings.model.name, settings.output.predictions, settings.dead_letter_topic
        )
        told = (metrics.closed, tell)
        wiring = Wiring(spark, settings, watched, checkpoint, system_clock, told, metrics)
        query = DriftQuery(wiring, monitor)
        if once:
            query.run_once()
        else:
            query.run(stopping.asked)


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


def shape_of(drift: DriftSettings) -> Shape:
    """Return the windows' shape in milliseconds."""
    slide = drift.slide_seconds or drift.window_seconds
    return Shape(drift.window_seconds * 1000, slide * 1000, drift.lateness_seconds * 1000, drift.idle_seconds * 1000)


def rules_of(drift: DriftSettings) -> Rules:
    """Return the rules, each column's where it has its own."""
    every = ColumnRules(drift.min_rows, drift.negligible, Patience(drift.enter, drift.leave))
    overrides = {name: _overridden(every, column) for name, column in drift.columns.items()}
    return Rules(drift.chance, every, overrides, drift.max_invalid_share)


def _overridden(rules: ColumnRules, column: DriftColumn) -> ColumnRules:
    patience = Patience(column.enter or rules.patience.enter, column.leave or rules.patience.leave)
    negligible = rules.negligible if column.negligible is None else column.negligible
    min_rows = column.min_rows or rules.min_rows
    return replace(rules, min_rows=min_rows, negligible=negligible, patience=patience, ignore=column.ignore)


def _prepare_topics(settings: Settings, admin: KafkaAdmin) -> None:
    for name in (settings.output.predictions, settings.dead_letter_topic):
        if admin.topic(name) is None:
            raise ConfigurationError(
                f"there is no topic {name!r}: start the scoring job first, which makes it, or correct output.*"
            )
    if settings.output.create_topics:
        kept = {"retention.ms": str(settings.output.retention_ms)}
        admin.ensure_topic(settings.output.drift, 1, kept, settings.output.replication_factor)


if __name__ == "__main__":
    from jobs.cli import main

    sys.argv[1:1] = ["drift", "run"]
    main()
