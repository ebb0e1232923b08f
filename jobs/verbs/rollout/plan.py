"""``penstock rollout plan``: declare a rollout in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.verbs.rollout.desk import RolloutDesk, rollout_desk, rollout_settings
from jobs.verbs.rollout.plan_file import WrittenPlan, read_plan
from jobs.verbs.rollout.status import status_of
from streaming.clock import isoformat
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelKey, ModelSelector
from streaming.models.rollout_versions import RESUME_TAG
from streaming.rollout.records import Declaration


def declared(config: Path | None, overrides: Sequence[str], file: Path) -> dict[str, Any]:
    """Declare the rollout that a file describes, and return its status.

    Raises:
        ConfigurationError: the file or the settings are wrong, or an unfinished rollout is there.
        ModelNotFoundError: the registry has no such version.
        UpstreamError: the registry or the broker does not answer.
    """
    settings = rollout_settings(config, overrides)
    written = read_plan(file)
    with rollout_desk(settings) as desk:
        current = desk.history.current
        if current is not None and not current.is_finished:
            raise ConfigurationError(
                f"the rollout {current.declaration.name} is {current.state.phase.value}; abort it before another begins"
            )
        declaration = _declaration(desk, written)
        _check_version(desk, declaration)
        desk.append(declaration.to_dict())
        rollout = desk.current()
        if rollout.declaration != declaration:
            raise ConfigurationError(
                f"somebody declared {rollout.declaration.name} at the same moment and came first; look at its status"
            )
        return status_of(desk)


def _declaration(desk: RolloutDesk, written: WrittenPlan) -> Declaration:
    model, history = desk.settings.model.name, desk.history
    name = f"{model}-{written.version}"
    return Declaration(
        name=history.free_name(name),
        application=desk.settings.application,
        candidate=ModelKey(model, written.version),
        salt=written.salt or history.salt_of(model) or name,
        plan=written.plan,
        at=isoformat(desk.clock()),
    )


def _check_version(desk: RolloutDesk, declaration: Declaration) -> None:
    from jobs.wiring.following import registry

    versions, candidate = registry(desk.settings.model), declaration.candidate
    tag = versions.get(candidate.name, candidate.version).tags.get(RESUME_TAG, "")
    # The ledger may have forgotten an earlier rollout of this name, but the registry keeps its tag.
    if tag.startswith(f"{declaration.name}/"):
        raise ConfigurationError(
            f"{candidate} has the tag {RESUME_TAG}={tag}, which would pass a step of {declaration.name} that nobody has"
            " looked at; take the tag away, then plan"
        )
    selector = ModelSelector.from_settings(desk.settings.model)
    if versions.resolve(selector).key == candidate:
        raise ConfigurationError(f"{selector} names v{candidate.version} already; roll out another version")
