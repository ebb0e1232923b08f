"""The ledger: which versions each batch was planned with and what came of it, written before the output it speaks of.

A batch that is tried again keeps the versions of its plan, and anybody can ask later which version scored an offset.
``adapters/kafka/ledger.py`` keeps it in a topic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from streaming.delivery.marks import Mark
from streaming.delivery.outcome import ArmOutcome, Outcome
from streaming.ledger.arms import RECORD_VERSION, PlannedArm, PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange, Ranges, covers
from streaming.outputs.read_back import Output
from streaming.rollout.record_type import ROLLOUT_RECORD
from streaming.scoring_time import ScoringTime

MODELS_RECORD = "models"
"""The type of a record that has the rows of a table of models."""
RECORD_TYPES = ("lease", "start", "plan", "outcome", "set_aside", "skip", ROLLOUT_RECORD, MODELS_RECORD)
"""What a driver writes, and what somebody declares or orders; the application's model events stand beside them."""


@dataclass(frozen=True)
class Plan:
    """The decision that ``arms`` score ``ranges`` of a topic, in the checkpoint's batch ``batch``.

    ``id`` is ``<lease epoch>.<number>``; ``reason`` says why this is not simply the slot's version. With one arm the
    record is what it was before there were arms (``docs/decisions/0014-arms-in-the-ledger.md``). ``degraded`` is what
    the fallback chain answers; if that is the whole batch, the one arm is the version that answers.
    """

    id: str
    application: str
    topic: str
    topic_id: str
    checkpoint: str
    batch: int
    ranges: Ranges
    arms: PlannedArms
    at: str
    reason: str = ""
    degraded: tuple[DegradedPart, ...] = ()

    @property
    def version(self) -> ModelVersion:
        """The champion's version, which is the only one where there is one arm."""
        return self.arms.champion.version

    def maker(self, output: Output | None) -> PlannedArm | None:
        """Return who made an output, as :meth:`PlannedArms.maker` does, or which part of the chain."""
        rows = {row: part.version for part in self.degraded for row in part.rows}
        if output is not None and output.source[1:] in rows:
            return PlannedArm(rows[output.source[1:]])
        return self.arms.maker(output)

    def decides(self, checkpoint: str, ranges: Ranges) -> bool:
        """Return whether the plan covers ``ranges``. A batch id alone would not do: it restarts with a checkpoint."""
        return self.checkpoint == checkpoint and covers(self.ranges, ranges)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it is written."""
        return {
            "type": "plan",
            "plan": self.id,
            "application": self.application,
            "topic": self.topic,
            "topic_id": self.topic_id,
            "checkpoint": self.checkpoint,
            "batch": self.batch,
            "ranges": {str(p): [part.start, part.end] for p, part in self.ranges.items()},
            **self.arms.to_dict(),
            "reason": self.reason,
            "at": self.at,
            **self._degraded(),
        }

    def _degraded(self) -> dict[str, Any]:
        if not self.degraded:
            return {}
        # A release that knows nothing of the chain must not take the batch for the arms' own.
        return {"record_version": RECORD_VERSION, "degraded": [part.to_dict() for part in self.degraded]}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Plan:
        """Read a record back; raises ``DataError`` for one that a later release wrote."""
        return cls(
            id=record["plan"],
            application=record["application"],
            topic=record["topic"],
            topic_id=record["topic_id"],
            checkpoint=record["checkpoint"],
            batch=record["batch"],
            ranges={int(p): OffsetRange(*part) for p, part in record["ranges"].items()},
            arms=PlannedArms.from_dict(record),
            at=record["at"],
            reason=record["reason"],
            degraded=tuple(DegradedPart.from_dict(part) for part in record.get("degraded", ())),
        )


@dataclass(frozen=True)
class PartitionOutcome:
    """What one partition's range came to.

    ``arms`` are the counts of each arm by its role, where the plan has several, and ``times`` how long their versions
    took for as many events each, where that was measured. ``segments`` are ``(plan, start,
    end)``: whose transactions wrote which offsets. It is one, of the plan itself, unless the batch was finished by a
    later plan than it was begun with.
    """

    start: int
    end: int
    predictions: int = 0
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    segments: tuple[tuple[str, int, int], ...] = ()
    arms: Mapping[str, ArmOutcome] = field(default_factory=dict)
    times: Mapping[str, ScoringTime] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, part: OffsetRange, outcome: Outcome) -> PartitionOutcome:
        """Return what a partition's outcome says of its range of a plan.

        The counts of many models would be far more than the rest of the record; they go to the metrics alone. So do
        those of the fallback chain, whose part the plan names.
        """
        return cls(
            start=part.start,
            end=part.end,
            predictions=outcome.predictions,
            dead_letters=outcome.dead_letters,
            skipped=outcome.skipped,
            segments=tuple((name, *ends) for name, ends in sorted(outcome.segments.items(), key=lambda each: each[1])),
            arms={arm.role: outcome.arms[arm.role] for arm in plan.arms.arms if arm.role in outcome.arms}
            if len(plan.arms.arms) > 1
            else {},
            times=outcome.times,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the partition's part of an outcome's record; without several arms it has no ``arms`` and ``times``."""
        absent = {name for name in ("arms", "times") if not getattr(self, name)}
        return {name: value for name, value in asdict(self).items() if name not in absent}


class Ledger(Protocol):
    """Append-only, fenced: once a younger driver has opened it, an older one's writes fail with ``FencedError``."""

    def open(self) -> int:
        """Take the lease and return its epoch, one more than any before."""
        ...

    def find(self, checkpoint: str, ranges: Ranges) -> Plan | None:
        """Return the latest plan that decides these ranges."""
        ...

    def record_plan(self, plan: Plan) -> None:
        """Write a plan; it is durable when this returns."""
        ...

    def record_start(self, marks: Mapping[int, Mark]) -> None:
        """Write where partitions start that have no mark yet, and the marks themselves, in one transaction."""
        ...

    def record_outcome(
        self,
        plan: Plan,
        outcome: Mapping[int, PartitionOutcome],
        marks: Mapping[int, Mark],
        arms: Mapping[str, ArmOutcome] | None = None,
    ) -> None:
        """Write what came of a plan and, in the same transaction, the marks of partitions that had no rows.

        ``arms`` are the counts of each arm by its role over all partitions, where the partitions' own do not tell.
        """
        ...

    def record_set_aside(self, location: str, reason: str) -> None:
        """Write that the checkpoint at ``location`` gives way to the marks."""
        ...

    def record_rollout(self, record: Mapping[str, Any]) -> None:
        """Write a state of a rollout; unlike the others, from any thread."""
        ...

    def record_models(self, record: Mapping[str, Any]) -> None:
        """Write the rows of a table of models, which plans then name by its number."""
        ...

    def models(self, table: int) -> Mapping[str, Any] | None:
        """Return the record of a table of models, if the ledger still has it."""
        ...

    def recent(self) -> Sequence[Plan]:
        """Return the plans that are still remembered, oldest first."""
        ...

    def planned(self) -> frozenset[int]:
        """Return the input topic's partitions that were ever planned, as far back as the ledger reaches."""
        ...
