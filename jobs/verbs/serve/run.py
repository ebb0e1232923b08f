"""``penstock serve``: the scorer behind HTTP, also as ``python jobs/serve.py --config penstock.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def serve(config: Path | None, overrides: Sequence[str]) -> None:
    """Answer requests until asked to stop. A second signal stops at once.

    Raises:
        ConfigurationError: the settings are wrong; nothing was started.
        ModelError: no version that may serve, and none that served before.
        RegistryUnavailableError: the registry does not answer and nothing is left to serve.
    """
    from jobs.configuration.load import load_settings
    from jobs.process.logs import configure_logging
    from jobs.process.stopping import StopRequest, unless_asked
    from jobs.wiring.mlflow_client import prepare_mlflow

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    prepare_mlflow()
    from jobs.wiring.serving import scoring_server  # after listening: it takes seconds to import
    from jobs.wiring.serving_processes import serve_in_processes

    if settings.serve.processes > 1:
        serve_in_processes(settings, stopping)
        return
    with unless_asked(stopping), scoring_server(settings, stopping) as server:
        server.run()
