"""Which version of a rollout's step scores which row of a batch: that of the arm that the event has in the stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.frames import arm_number
from streaming.rollout.history import Rollout
from streaming.rollout.intervals import CANDIDATE, CHAMPION, POINTS, ArmIntervals

_ROLES = (CHAMPION, CANDIDATE)


@dataclass(frozen=True)
class BatchSplit:
    """A rollout's step as a batch follows it: the versions by role, and which rows are whose.

    Attributes:
        model: the registered model.
        versions: the number of each role's version.
        assignment: which events are of which role.
        weights: the step.
    """

    model: str
    versions: Mapping[str, int]
    assignment: ArmAssignment
    weights: WeightEpoch

    @classmethod
    def of(cls, rollout: Rollout) -> BatchSplit:
        """Return the present step.

        Raises:
            ConfigurationError: one version has all keys in it.
        """
        declaration, latest = rollout.declaration, rollout.latest
        points = latest.weights.intervals.points(CANDIDATE)
        if not 0 < points < POINTS or latest.champion is None or rollout.is_finished:
            raise ConfigurationError(
                f"in the state {latest.state.phase.value} of {declaration.name} one version has all keys, so there is"
                " nothing to split; leave --rollout out, and --model-version or --alias name the version"
            )
        return cls(
            model=declaration.candidate.name,
            versions={CHAMPION: latest.champion, CANDIDATE: declaration.candidate.version},
            assignment=ArmAssignment(declaration.salt, latest.weights.intervals),
            weights=WeightEpoch(declaration.name, latest.weights.epoch),
        )

    @property
    def parts(self) -> tuple[BatchArm, ...]:
        """The rows of each role, the champion's first."""
        return tuple(BatchArm(self, role) for role in _ROLES)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a batch's plan has it."""
        intervals = self.assignment.intervals
        return {
            "rollout": self.weights.rollout,
            "weight_epoch": self.weights.epoch,
            "model": self.model,
            "versions": dict(self.versions),
            "salt": self.assignment.salt,
            "arms": list(intervals.arms),
            "ends": list(intervals.ends),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> BatchSplit:
        """Read it back."""
        intervals = ArmIntervals(tuple(fields["arms"]), tuple(fields["ends"]))
        return cls(
            model=fields["model"],
            versions=fields["versions"],
            assignment=ArmAssignment(fields["salt"], intervals),
            weights=WeightEpoch(fields["rollout"], fields["weight_epoch"]),
        )


@dataclass(frozen=True)
class BatchArm:
    """One role's rows of a batch."""

    split: BatchSplit
    role: str

    def rows(self, decoded: DataFrame) -> DataFrame:
        """Return the arm's of decoded rows: a row that has neither a key nor an id is the champion's."""
        key = F.col(c.SUBJECT).cast("binary")
        number = arm_number(self.split.assignment, _ROLES, key, F.col(c.EVENT_ID))
        return decoded.where(number == _ROLES.index(self.role))
