"""``penstock rollout repair``: what a candidate answered before it was taken back is scored again by the champion."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.verbs.rollout.desk import rollout_desk, rollout_settings
from jobs.verbs.rollout.options import RolloutRepairOptions
from jobs.wiring.following import registry
from jobs.wiring.jars import jars
from jobs.wiring.repairing import Corrected, correct, find_repair, listed
from jobs.wiring.replaying import loaded_versions
from jobs.wiring.session import require_log, session
from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelVersion
from streaming.replay.repair import Repair
from streaming.rollout.history import Rollout
from streaming.rollout.states import TAKEN_BACK
from streaming.settings import Settings

HOME = Path(".penstock")
SPARK_LOG = HOME / "repair-spark.log"


def repaired(config: Path | None, overrides: Sequence[str], options: RolloutRepairOptions) -> dict[str, Any]:
    """Score the candidate's events again and publish corrections, or go on with that; return what was done.

    Raises:
        ConfigurationError: the settings are wrong, or there is no rollout that was taken back.
        PenstockError: the champion cannot score the events, or something does not answer.
    """
    settings = rollout_settings(config, overrides)
    if not options.dry_run:
        require_log(SPARK_LOG)
    name = f"{settings.application}-repair"
    return repaired_in(
        settings, options, lambda: session(settings, name, SPARK_LOG, lambda: jars(HOME).connector_jars())
    )


def repaired_in(
    settings: Settings, options: RolloutRepairOptions, opened: Callable[[], AbstractContextManager[SparkSession]]
) -> dict[str, Any]:
    """Do the same in a Spark session that ``opened`` gives, if one is needed; raises as :func:`repaired`."""
    began = time.monotonic()
    with rollout_desk(settings) as desk:
        rollout = _taken_back(desk.chosen(options.rollout))
        story = desk.story(rollout)
    with KafkaScan(settings.kafka, settings.application) as scan:
        planned = find_repair(settings, scan, story, _champion(settings, rollout))
    corrected = Corrected()
    if planned.repair.ranges and not options.dry_run:
        corrected = _run(settings, planned.repair, opened)
    return {
        "rollout": planned.repair.rollout,
        "champion": str(planned.repair.champion),
        "topic": settings.input.topic,
        "dry_run": options.dry_run,
        "events": sum(planned.events.values()),
        "ranges": list(listed(planned.events)),
        "removed": list(listed(planned.removed)),
        "predictions": corrected.counts.predictions,
        "dead_letters": corrected.counts.dead_letters,
        "still_dead": corrected.counts.earlier,
        "offsets": corrected.offsets,
        "seconds": round(time.monotonic() - began, 1),
    }


def _taken_back(rollout: Rollout) -> Rollout:
    phase = rollout.state.phase
    if phase not in TAKEN_BACK:
        raise ConfigurationError(
            f"the rollout {rollout.declaration.name} is {phase.value}; what a candidate answered is corrected once it"
            " is rolled back or aborted"
        )
    return rollout


def _champion(settings: Settings, rollout: Rollout) -> ModelVersion:
    """Return the version that served beside the candidate, as the rollout's record names it."""
    number, declaration = rollout.latest.champion, rollout.declaration
    if number is None:
        raise ConfigurationError(f"the rollout {declaration.name} never began, so there is nothing to correct")
    registered = registry(settings.model).get(declaration.candidate.name, number)
    return ModelVersion(registered.name, registered.version, registered.run_id)


def _run(settings: Settings, repair: Repair, opened: Callable[[], AbstractContextManager[SparkSession]]) -> Corrected:
    # The champion has served this topic and needs no check against a sample of it.
    with opened() as spark, loaded_versions(settings, spark, None) as versions:
        return correct(repair, settings, HOME, spark, versions)
