"""Which two versions a rollout has in each of its steps, by the ledger's transitions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streaming.models.ref import ModelKey
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.record_type import ROLLOUT_RECORD
from streaming.rollout.records import Fields, RecordKind, Transition
from streaming.rollout.states import JUDGED


@dataclass(frozen=True)
class StepVersions:
    """The versions of one step; ``champion`` is ``None`` where the ledger names none. ``salt`` is the rollout's."""

    candidate: ModelKey
    champion: ModelKey | None
    salt: str

    def beside(self, served: ModelKey) -> ModelKey | None:
        """Return the version that scores an event which ``served`` has answered; ``None`` if none is known."""
        return self.champion if served == self.candidate else self.candidate


@dataclass
class RolloutSteps:
    """The steps of an application's rollouts. The job writes a transition before it plans a batch by it."""

    application: str
    _steps: dict[WeightEpoch, StepVersions] = field(default_factory=dict)

    def add(self, record: Fields) -> None:
        """Take a record of the ledger; what is no transition of ours is passed over."""
        head = record.get("type"), record.get("kind"), record.get("application")
        if head != (ROLLOUT_RECORD, RecordKind.TRANSITION, self.application):
            return
        transition = Transition.from_dict(record)
        if transition.state.phase not in JUDGED:
            return
        declaration, champion = transition.declaration, transition.champion
        key = WeightEpoch(declaration.name, transition.weights.epoch)
        champion_key = None if champion is None else ModelKey(declaration.candidate.name, champion)
        earlier = self._steps.get(key)
        if earlier is None:
            self._steps[key] = StepVersions(declaration.candidate, champion_key, declaration.salt)
        elif earlier.champion is None:
            self._steps[key] = replace(earlier, champion=champion_key)

    def of(self, step: WeightEpoch) -> StepVersions | None:
        """Return a step's versions; ``None`` if the ledger has told of no such step."""
        return self._steps.get(step)
