"""``penstock score``: the long-running job, also as ``spark-submit jobs/score.py --config penstock.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def score(config: Path | None, overrides: Sequence[str]) -> None:
    """Score the stream, or stand by while another driver does, until asked to stop. A second signal stops at once.

    Raises:
        ConfigurationError: the settings, or the topics and models they name, are wrong; Spark was not started.
        DataError: going on would lose or double records.
        UpstreamError: Kafka or the registry does not answer and nothing is left to serve.
        FencedError: another driver has taken over.
    """
    from jobs.configuration.load import load_settings
    from jobs.process.logs import configure_logging
    from jobs.process.stopping import StopRequest, unless_asked
    from jobs.wiring.session import prepare_environment

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    from jobs.wiring.scoring import scoring_job  # after listening: it takes seconds to import

    submitted = prepare_environment(settings)
    with unless_asked(stopping), scoring_job(settings, stopping, submitted=submitted) as job:
        stopping.listen()  # again: Spark's own handler for Ctrl-C took its place
        job.run()
