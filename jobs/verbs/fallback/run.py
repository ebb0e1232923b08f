"""``penstock fallback repair``: what the fallback chain has answered is scored again by the champion."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.verbs.fallback.options import FallbackRepairOptions
from jobs.wiring.following import registry
from jobs.wiring.jars import jars
from jobs.wiring.repairing import Corrected, correct, find_degraded, listed
from jobs.wiring.replaying import loaded_versions
from jobs.wiring.session import require_log, session
from streaming.adapters.kafka.scan import KafkaScan
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.replay.repair import Repair
from streaming.settings import Settings

HOME = Path(".penstock")
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

    def opened() -> AbstractContextManager[SparkSession]:
        return session(settings, name, SPARK_LOG, lambda: jars(HOME).connector_jars())

    return _repaired_in(settings, champion, options, opened)


def _repaired_in(
    settings: Settings,
    champion: ModelVersion,
    options: FallbackRepairOptions,
    opened: Callable[[], AbstractContextManager[SparkSession]],
) -> dict[str, Any]:
    began = time.monotonic()
    with KafkaScan(settings.kafka, settings.application) as scan:
        planned = find_degraded(settings, scan, champion)
    corrected = Corrected()
    if planned.repair.ranges and not options.dry_run:
        corrected = _run(settings, planned.repair, opened)
    return {
        "champion": str(champion),
        "topic": settings.input.topic,
        "dry_run": options.dry_run,
        "events": sum(planned.events.values()),
        "ranges": list(listed(planned.events)),
        "removed": list(listed(planned.removed)),
        "predictions": corrected.counts.predictions,
        "offsets": corrected.offsets,
        "seconds": round(time.monotonic() - began, 1),
    }


def _champion(settings: Settings, number: int | None) -> ModelVersion:
    """Return the version that scores again: the one that is asked for, or that the registry names."""
    versions, name = registry(settings.model), settings.model.name
    if number is not None:
        registered = versions.get(name, number)
    else:
        registered = versions.resolve(ModelSelector.from_settings(settings.model))
    return ModelVersion(registered.name, registered.version, registered.run_id)


def _run(settings: Settings, repair: Repair, opened: Callable[[], AbstractContextManager[SparkSession]]) -> Corrected:
    # It serves this topic, or has served it, and needs no check against a sample of it.
    with opened() as spark, loaded_versions(settings, spark, None) as versions:
        return correct(repair, settings, HOME, spark, versions)
