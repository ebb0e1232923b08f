"""``penstock drift run``: drift by windows, also as ``spark-submit jobs/drift.py --config penstock.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def run(config: Path | None, overrides: Sequence[str], *, once: bool) -> None:
    """Watch the predictions until asked to stop. With ``once``, read what there is now and close every window.

    Raises:
        ConfigurationError: the settings, the paths or the topics are wrong; Spark was not started.
        UpstreamError: Kafka or the registry does not answer.
    """
    from jobs.configuration.load import load_settings
    from jobs.process.logs import configure_logging
    from jobs.process.stopping import StopRequest, unless_asked

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    stopping = StopRequest(settings.engine.stop_seconds)
    if not once:  # a run with --once that is stopped early has not done its work
        stopping.listen()
    from jobs.wiring.drift_job import watch_drift  # after listening: it takes seconds to import

    with unless_asked(stopping):
        watch_drift(settings, stopping, once=once)
