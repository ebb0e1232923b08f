"""Which versions a batch is planned with, and which events are whose: one arm with everything, or several by a hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from streaming.errors import DataError
from streaming.lookup_state import LookupState
from streaming.models.ref import ModelKey, ModelVersion
from streaming.outputs.read_back import Output
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import CHAMPION, ArmIntervals, ArmSpan

RECORD_VERSION = 3
"""The version of a plan's record of which the fallback chain answers something.

One with several arms has version 2. One with one arm has no version, and version 1's fields.
"""
_SEVERAL_ARMS = 2
MODELS = "models"
"""The role of an arm that is no version but a table of them; the ledger has the table's rows in a record of its own."""
MOST_ARMS = 127
"""A batch's rows name their arm by a byte, which has a sign in Spark."""


@dataclass(frozen=True)
class PlannedArm:
    """One version and the role in which it answers; the role is also the arm's name in the assignment."""

    version: ModelVersion
    role: str = CHAMPION


@dataclass(frozen=True)
class PlannedArms:
    """The arms of a plan, the champion first. With several, ``assignment`` says which events are whose.

    An arm without points in the assignment answers nothing. ``weights`` names the rollout, if it is one that planned.
    ``lookup`` is the lookup table's state that they read, where columns are looked up.

    Raises:
        DataError: there is no arm, the first is not the champion, a role comes twice or has points and no arm, there
            are too many, or it is not said which events are whose.
    """

    arms: tuple[PlannedArm, ...]
    assignment: ArmAssignment | None = None
    weights: WeightEpoch | None = None
    lookup: LookupState | None = None
    models: tuple[ModelVersion, ...] = field(default=(), compare=False)
    """The rows of a table, where whoever reads the plan back has found them in the ledger."""

    def __post_init__(self) -> None:
        """Refuse arms among which an event would have none, or more than one."""
        roles = [arm.role for arm in self.arms]
        several = len(roles) > 1
        named = set(self.assignment.intervals.arms) if self.assignment else set()
        distinct = len(set(roles)) == len(roles) <= MOST_ARMS
        if not roles or not distinct or several == (self.assignment is None) or not named <= set(roles):
            raise DataError(
                f"a plan's arms are {roles} and its intervals name {sorted(named)}; each role has one arm, at most"
                f" {MOST_ARMS} in all, and only a plan of several arms has intervals, of their roles alone"
            )
        if several and roles[0] != CHAMPION:
            raise DataError(f"a plan's first arm is the {CHAMPION}, not {roles[0]!r}")

    @classmethod
    def only(cls, version: ModelVersion, role: str = CHAMPION) -> PlannedArms:
        """Return the one arm that has every event."""
        return cls((PlannedArm(version, role),))

    @property
    def champion(self) -> PlannedArm:
        """The champion's arm, which has the events that no other arm has."""
        return self.arms[0]

    @property
    def keys(self) -> frozenset[ModelKey]:
        """The versions of all arms."""
        return frozenset(arm.version.key for arm in self.arms)

    @property
    def is_table(self) -> bool:
        """True if each event is for one of many models, by the table that stands in the champion's place."""
        return self.champion.role == MODELS

    def with_models(self, record: Mapping[str, Any] | None) -> PlannedArms:
        """Return the arm of a table with the rows that the ledger's record of it has."""
        if record is None or record["table"] != self.champion.version.version:
            return self
        return replace(self, models=tuple(ModelVersion(*row[:3]) for row in record["rows"]))

    def maker(self, output: Output | None) -> PlannedArm | None:
        """Return the arm that made an output; ``None`` if there are several and the output does not tell."""
        if self.is_table:
            return None if output is None else self._row_of(output)
        if len(self.arms) == 1:
            return self.champion
        return next((arm for arm in self.arms if output and output.may_be_of(arm.version.key)), None)

    def _row_of(self, output: Output) -> PlannedArm | None:
        """Return the model that made an output; the table itself for a dead letter that is for no model."""
        if output.may_be_of(self.champion.version.key):
            return self.champion
        if not self.models and output.model:
            return PlannedArm(ModelVersion(output.model, output.version, output.run_id))
        return next((PlannedArm(version) for version in self.models if output.may_be_of(version.key)), None)

    def __str__(self) -> str:
        """Return ``flights v3``, or ``flights v3 (champion), flights v4 (candidate)``; a table by its number."""
        if self.is_table:
            return f"table {self.champion.version.version} of the models {self.champion.version.name}"
        if len(self.arms) == 1:
            return str(self.champion.version)
        return ", ".join(f"{arm.version} ({arm.role})" for arm in self.arms)

    def to_dict(self) -> dict[str, Any]:
        """Return a plan record's fields of the arms: those of version 1 as long as one is enough."""
        optional: dict[str, Any] = {} if self.lookup is None else {"lookup": self.lookup.to_dict()}
        if self.weights:
            optional |= {"rollout": self.weights.rollout, "weight_epoch": self.weights.epoch}
        if self.assignment is None:
            return {**_named(self.champion.version), "role": self.champion.role, **optional}
        spans = list(self.assignment.intervals.spans)
        arms = [
            {**_named(arm.version), "role": arm.role, "points": [[s.start, s.end] for s in spans if s.arm == arm.role]}
            for arm in self.arms
        ]
        return {"record_version": _SEVERAL_ARMS, "salt": self.assignment.salt, "arms": arms, **optional}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PlannedArms:
        """Read a plan record's arms; version 1 reads as one arm.

        Raises:
            DataError: a later release wrote it, or its intervals leave a point without an arm.
        """
        version = record.get("record_version", 1)
        if version > RECORD_VERSION:
            raise DataError(
                f"plan {record['plan']} of the ledger is a record of version {version}, which a later release wrote and"
                " this one cannot follow; start that release"
            )
        weights = WeightEpoch(record["rollout"], record["weight_epoch"]) if "weight_epoch" in record else None
        lookup = LookupState.from_dict(record["lookup"]) if "lookup" in record else None
        if "arms" not in record:
            return cls((PlannedArm(_version(record), record["role"]),), weights=weights, lookup=lookup)
        arms = tuple(PlannedArm(_version(arm), arm["role"]) for arm in record["arms"])
        spans = sorted(ArmSpan(start, end, arm["role"]) for arm in record["arms"] for start, end in arm["points"])
        intervals = ArmIntervals(tuple(span.arm for span in spans), tuple(span.end for span in spans))
        # Intervals keep ends alone. A gap or an overlap shows where the starts they give are other ones.
        if list(intervals.spans) != spans:
            raise DataError(f"the arms of plan {record['plan']} of the ledger have points in common, or miss some")
        return cls(arms, ArmAssignment(record["salt"], intervals), weights, lookup)


def _named(version: ModelVersion) -> dict[str, Any]:
    return {"model": version.name, "version": version.version, "run_id": version.run_id}


def _version(record: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(record["model"], record["version"], record["run_id"])
