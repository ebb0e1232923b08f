"""``penstock drift run``: drift by windows, also as ``spark-submit jobs/drift.py --config penstock.yaml``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from jobs.config import load_settings
from jobs.drift_wiring import drift_query, prepare_topics
from jobs.following import registry
from jobs.logs import configure_logging
from jobs.session import session
from jobs.setup import jars
from jobs.stopping import StopRequest, children_ignore_signals
from streaming.adapters.kafka import KafkaAdmin
from streaming.errors import ConfigurationError
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import Settings
from streaming.settings_drift import DriftSettings

HOME = Path(".penstock")
SPARK_LOG = HOME / "drift-spark.log"


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
    registry(settings.model)
    prepare_topics(settings, KafkaAdmin(settings.kafka, settings.application))
    with ExitStack() as stack:
        _watch(settings, stopping, stack, once=once)


def _watch(settings: Settings, stopping: StopRequest, stack: ExitStack, *, once: bool) -> None:
    metrics = DriftMetrics()
    if not once:
        _serve(metrics, settings.drift)
    started = session(settings, f"{settings.application}-drift", SPARK_LOG, lambda: jars(HOME).connector_jars())
    with children_ignore_signals():
        spark = stack.enter_context(started)
    stopping.listen()  # again: Spark's own handler for Ctrl-C took its place
    query = drift_query(settings, spark, metrics, stack)
    if once:
        query.run_once()
    else:
        query.run(stopping.asked)


def _serve(metrics: DriftMetrics, drift: DriftSettings) -> None:
    if drift.metrics_port is None:
        return
    try:
        metrics.serve(drift.metrics_host, drift.metrics_port)
    except OSError as problem:
        raise ConfigurationError(
            f"{drift.metrics_host}:{drift.metrics_port} cannot be listened on ({problem}); set drift.metrics_port to"
            " another port, or to null for no endpoint"
        ) from problem


if __name__ == "__main__":
    from jobs.cli import main

    sys.argv[1:1] = ["drift", "run"]
    main()
