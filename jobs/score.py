"""``penstock score``: the long-running job, also as ``spark-submit jobs/score.py --config penstock.yaml``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def score(config: Path | None, overrides: Sequence[str]) -> None:
    """Score the stream, or stand by while another driver does, until asked to stop; a second signal stops at once.

    Raises:
        ConfigurationError: the settings, or the topics and models they name, are wrong; Spark was not started.
        DataError: going on would lose or double records.
        UpstreamError: Kafka or the registry does not answer and nothing is left to serve.
        FencedError: another driver has taken over.
    """
    from jobs.config import load_settings
    from jobs.logs import configure_logging
    from jobs.session import prepare_environment
    from jobs.stopping import StopRequest, unless_asked

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    from jobs.scoring import scoring_job  # after listening: it takes seconds to import

    submitted = prepare_environment(settings)
    with unless_asked(stopping), scoring_job(settings, stopping, submitted=submitted) as job:
        stopping.listen()  # again: Spark's own handler for Ctrl-C took its place
        job.run()


if __name__ == "__main__":
    from jobs.cli import main

    sys.argv.insert(1, "score")
    main()
