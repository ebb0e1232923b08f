"""``penstock shadow run``: the other version of a rollout scores the same events, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def shadow(config: Path | None, overrides: Sequence[str], *, once: bool) -> dict[str, Any]:
    """Pair predictions, and return what was done.

    Args:
        config: the settings' file.
        overrides: further settings.
        once: whether to end where the topics end now.

    Raises:
        ConfigurationError: the settings or the topics are wrong.
        FencedError: another shadow of this application has begun.
        UpstreamError: Kafka or the registry does not answer.
    """
    from jobs.configuration.load import load_settings
    from jobs.configuration.paths import require_writable
    from jobs.process.logs import configure_logging
    from jobs.process.stopping import StopRequest, unless_asked
    from jobs.wiring.mlflow_client import prepare_mlflow

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    require_writable(settings.model.cache_dir, "model.cache_dir")
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    prepare_mlflow()
    from jobs.wiring.following import registry  # after listening: it takes seconds to import
    from jobs.wiring.shadow import shadow_run
    from streaming.clock import system_clock

    with unless_asked(stopping), shadow_run(settings, registry(settings.model), system_clock) as run:
        (run.once if once else run.until)(stopping.asked)
        return run.summary()
    return {}
