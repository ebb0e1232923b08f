"""The drift job put together: checks before Spark starts, the session, the query, its metrics."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from jobs.configuration.paths import require_writable_uri
from jobs.process.stopping import StopRequest, children_ignore_signals
from jobs.wiring.drift import checkpoint_of, drift_query, prepare_topics
from jobs.wiring.following import registry
from jobs.wiring.jars import jars
from jobs.wiring.metrics_port import serve_metrics
from jobs.wiring.session import require_log, session
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import Settings

HOME = Path(".penstock")
SPARK_LOG = HOME / "drift-spark.log"


def watch_drift(settings: Settings, stopping: StopRequest, *, once: bool) -> None:
    """Watch the predictions until asked to stop; or ``once``: what there is now, and close every window.

    Raises:
        ConfigurationError: the topics, the paths or the registry are wrong; Spark was not started.
        UpstreamError: Kafka or the registry does not answer.
    """
    require_log(SPARK_LOG)
    require_writable_uri(checkpoint_of(settings), "drift.checkpoint")
    registry(settings.model)
    prepare_topics(settings, KafkaAdmin(settings.kafka, settings.application))
    with ExitStack() as stack:
        _watch(settings, stopping, stack, once=once)


def _watch(settings: Settings, stopping: StopRequest, stack: ExitStack, *, once: bool) -> None:
    metrics = DriftMetrics()
    if not once:
        serve_metrics(metrics, settings.drift.metrics_host, settings.drift.metrics_port, "drift.metrics_port")
    started = session(settings, f"{settings.application}-drift", SPARK_LOG, lambda: jars(HOME).connector_jars())
    with children_ignore_signals():
        spark = stack.enter_context(started)
    if not once:
        stopping.listen()  # again: Spark's own handler for Ctrl-C took its place
    query = drift_query(settings, spark, metrics, stack)
    if once:
        query.run_once()
    else:
        query.run(stopping.asked)
