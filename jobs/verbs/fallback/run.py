"""``penstock fallback repair``: what the fallback chain has answered is scored again by the champion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.verbs.fallback.options import FallbackRepairOptions
from jobs.wiring.correcting import HOME, run_repair
from jobs.wiring.following import registry
from jobs.wiring.jars import jars
from jobs.wiring.repairing import find_degraded
from jobs.wiring.session import require_log, session
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.settings import Settings

SPARK_LOG = HOME / "fallback-repair-spark.log"


def repaired(config: Path | None, overrides: Sequence[str], options: FallbackRepairOptions) -> dict[str, Any]:
    """Score degraded answers' events again and publish corrections, or go on with that; return what was done.

    Raises:
        ConfigurationError: the settings are wrong, or a degraded batch is planned and not written yet.
        PenstockError: the champion cannot score the events, or something does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    if not options.dry_run:
        require_log(SPARK_LOG)
    name = f"{settings.application}-fallback-repair"
    champion = _champion(settings, options.version)
    result = run_repair(
        settings,
        lambda scan: find_degraded(settings, scan, champion),
        lambda: session(settings, name, SPARK_LOG, lambda: jars(HOME).connector_jars()),
        dry_run=options.dry_run,
    )
    return result.to_dict(settings.input.topic)


def _champion(settings: Settings, number: int | None) -> ModelVersion:
    """Return the version that scores again: the one that is asked for, or that the registry names."""
    versions, name = registry(settings.model), settings.model.name
    if number is not None:
        registered = versions.get(name, number)
    else:
        registered = versions.resolve(ModelSelector.from_settings(settings.model))
    return ModelVersion(registered.name, registered.version, registered.run_id)
