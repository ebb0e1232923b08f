"""``penstock rollout repair``: what a candidate answered before it was taken back is scored again by the champion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.verbs.rollout.desk import rollout_desk, rollout_settings
from jobs.verbs.rollout.options import RolloutRepairOptions
from jobs.wiring.correcting import HOME, OpenSession, run_repair
from jobs.wiring.following import registry
from jobs.wiring.jars import jars
from jobs.wiring.repairing import find_repair
from jobs.wiring.session import require_log, session
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelVersion
from streaming.rollout.history import Rollout
from streaming.rollout.states import TAKEN_BACK
from streaming.settings import Settings

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


def repaired_in(settings: Settings, options: RolloutRepairOptions, open_session: OpenSession) -> dict[str, Any]:
    """Do the same in a Spark session that ``open_session`` opens, if one is needed; raises as :func:`repaired`."""
    with rollout_desk(settings) as desk:
        rollout = _taken_back(desk.chosen(options.rollout))
        story = desk.story(rollout)
    champion = _champion(settings, rollout)
    result = run_repair(
        settings, lambda scan: find_repair(settings, scan, story, champion), open_session, dry_run=options.dry_run
    )
    counts = result.corrected.counts
    return {
        "rollout": result.planned.repair.name,
        **result.to_dict(settings.input.topic),
        "dead_letters": counts.dead_letters,
        "still_dead": counts.earlier,
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
