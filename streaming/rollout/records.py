"""A rollout as records of the ledger: what was declared, what was ordered, and which states the job went through.

Records are JSON with ``type`` ``rollout`` and a ``kind``; ``schemas/contracts/rollout_record.json`` is the contract.
Anybody may declare and order. Only the driver that holds the lease writes transitions. What the judge writes is in
:mod:`streaming.rollout.verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any

from streaming.clock import instant, isoformat
from streaming.models.ref import ModelKey
from streaming.rollout.checks import JudgeRules, RolloutCheck
from streaming.rollout.drift import TOLERATED as TOLERATED_DRIFT
from streaming.rollout.intervals import ALL_CHAMPION, ArmIntervals
from streaming.rollout.latency import TOLERATED
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.record_type import ROLLOUT_RECORD
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime

Fields = Mapping[str, Any]
"""A record as its JSON reads."""


class RecordKind(str, Enum):
    """What a record is. Readers pass over kinds that they do not know."""

    DECLARATION = "declaration"
    ORDER = "order"
    TRANSITION = "transition"
    VERDICT = "verdict"


@dataclass(frozen=True)
class Declaration:
    """What is rolled out, to whom and how. ``name`` is the rollout's, ``at`` is RFC 3339 in UTC."""

    name: str
    application: str
    candidate: ModelKey
    salt: str
    plan: RolloutPlan
    at: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record."""
        return {
            **head(RecordKind.DECLARATION, self.application, self.name),
            "model": self.candidate.name,
            "version": self.candidate.version,
            "salt": self.salt,
            "steps": [_step_fields(step) for step in self.plan.steps],
            "probation": _step_fields(self.plan.probation),
            "judge": _rules_fields(self.plan.rules),
            "at": self.at,
        }

    @classmethod
    def from_dict(cls, record: Fields) -> Declaration:
        """Read a record back."""
        return cls(
            name=record["rollout"],
            application=record["application"],
            candidate=ModelKey(record["model"], record["version"]),
            salt=record["salt"],
            plan=RolloutPlan(
                tuple(map(_step, record["steps"])),
                probation=_step(record["probation"]),
                rules=_rules(record.get("judge", {})),
            ),
            at=record["at"],
        )


@dataclass(frozen=True)
class OrderGiven:
    """Somebody's order, which counts once the job has read it."""

    rollout: str
    application: str
    order: RolloutOrder
    at: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record."""
        return {**head(RecordKind.ORDER, self.application, self.rollout), "order": self.order.value, "at": self.at}

    @classmethod
    def from_dict(cls, record: Fields) -> OrderGiven:
        """Read a record back."""
        return cls(record["rollout"], record["application"], RolloutOrder(record["order"]), record["at"])


@dataclass(frozen=True)
class Weights:
    """Which points the arms have. ``epoch`` counts up with every step, so it also names the step in the outputs."""

    epoch: int = 0
    intervals: ArmIntervals = ALL_CHAMPION


@dataclass(frozen=True)
class Transition:
    """The state that the job came to, with all that a reader needs who has no earlier record.

    Attributes:
        declaration: the rollout's.
        number: counts a rollout's transitions from 1.
        orders: how many orders of this rollout the state takes account of.
        state: where the rollout stands.
        weights: the arms from the next batch on.
        champion: the version that serves without the candidate; ``None`` before the first step.
        evidence: what had been counted when the state changed.
        problems: why the job cannot do what the state asks of it, in sentences.
        at: RFC 3339 in UTC.
    """

    declaration: Declaration
    number: int
    orders: int
    state: RolloutState
    weights: Weights
    champion: int | None = None
    evidence: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    at: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record."""
        intervals = self.weights.intervals
        ends = zip(intervals.arms, intervals.ends, strict=True)
        return {
            **self.declaration.to_dict(),
            "kind": RecordKind.TRANSITION.value,
            "declared_at": self.declaration.at,
            "number": self.number,
            "orders": self.orders,
            **_state_fields(self.state),
            "weight_epoch": self.weights.epoch,
            "intervals": [{"arm": arm, "end": end} for arm, end in ends],
            "champion": self.champion,
            "evidence": dict(self.evidence),
            "problems": list(self.problems),
            "at": self.at,
        }

    def summary(self) -> dict[str, Any]:
        """Return what people ask for: where it stands, since when and why."""
        state, plan = self.state, self.declaration.plan
        return {
            "rollout": self.declaration.name,
            "model": self.declaration.candidate.name,
            "version": self.declaration.candidate.version,
            "phase": state.phase.value,
            "step": state.step + 1,
            "steps": len(plan.steps),
            "share": state.share(plan),
            "since": isoformat(state.since.clock),
            "why": state.why,
            "paused": state.paused,
            "problems": list(self.problems),
            "weight_epoch": self.weights.epoch,
        }

    @classmethod
    def from_dict(cls, record: Fields) -> Transition:
        """Read a record back; raises ``DataError`` where its intervals leave a point without an arm."""
        rows = record["intervals"]
        intervals = ArmIntervals(tuple(row["arm"] for row in rows), tuple(row["end"] for row in rows))
        return cls(
            declaration=Declaration.from_dict({**record, "at": record["declared_at"]}),
            number=record["number"],
            orders=record["orders"],
            state=_state(record),
            weights=Weights(record["weight_epoch"], intervals),
            champion=record["champion"],
            evidence=record["evidence"],
            problems=tuple(record["problems"]),
            at=record["at"],
        )


def head(kind: RecordKind, application: str, rollout: str) -> dict[str, Any]:
    """Return the fields with which every record of a rollout begins."""
    return {"type": ROLLOUT_RECORD, "kind": kind.value, "application": application, "rollout": rollout}


def _step_fields(step: RolloutStep) -> dict[str, Any]:
    return {
        "share": step.share,
        "evidence": dict(step.evidence),
        "least_seconds": step.least.total_seconds(),
        "most_seconds": None if step.most is None else step.most.total_seconds(),
        "on_not_told": step.on_not_told.value,
        "manual": step.manual,
    }


def _step(fields: Fields) -> RolloutStep:
    most = fields["most_seconds"]
    return RolloutStep(
        share=fields["share"],
        evidence=fields["evidence"],
        least=timedelta(seconds=fields["least_seconds"]),
        most=None if most is None else timedelta(seconds=most),
        on_not_told=OnNotTold(fields["on_not_told"]),
        manual=fields["manual"],
    )


def _rules_fields(rules: JudgeRules) -> dict[str, Any]:
    return {
        "dry_run": sorted(rules.dry_run),
        "day_deviation": rules.day_deviation,
        "tolerated": rules.tolerated,
        "expected_shift": rules.expected_shift,
        "tolerated_shift": rules.tolerated_shift,
        "tolerated_slowdown": rules.tolerated_slowdown,
        "tolerated_drift": rules.tolerated_drift,
    }


def _rules(fields: Fields) -> JudgeRules:
    """Read the judge's rules; a record from before there was one has none."""
    # Nobody has said of an older rollout that a check which it did not have may act.
    later = {
        RolloutCheck.SCORE_SHIFT: "tolerated_shift",
        RolloutCheck.LATENCY: "tolerated_slowdown",
        RolloutCheck.DRIFT: "tolerated_drift",
    }
    unheard_of = {check.value for check, name in later.items() if name not in fields}
    return JudgeRules(
        dry_run=frozenset(fields.get("dry_run", ())) | unheard_of,
        day_deviation=fields.get("day_deviation", 0.0),
        tolerated=fields.get("tolerated", 0.0),
        expected_shift=fields.get("expected_shift"),
        tolerated_shift=fields.get("tolerated_shift", 0.0),
        tolerated_slowdown=fields.get("tolerated_slowdown", TOLERATED),
        tolerated_drift=fields.get("tolerated_drift", TOLERATED_DRIFT),
    )


def _state_fields(state: RolloutState) -> dict[str, Any]:
    return {
        "phase": state.phase.value,
        "step": state.step,
        "since": {"clock": isoformat(state.since.clock), "event_time": isoformat(state.since.event_time)},
        "why": state.why,
        "paused": state.paused,
        "at_gate": state.at_gate,
    }


def _state(record: Fields) -> RolloutState:
    since = record["since"]
    return RolloutState(
        phase=RolloutPhase(record["phase"]),
        step=record["step"],
        since=RolloutTime(instant(since["clock"]), instant(since["event_time"])),
        why=record["why"],
        paused=record["paused"],
        at_gate=record["at_gate"],
    )
