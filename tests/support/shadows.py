"""A rollout's transitions and predictions as the job writes them, and a shadow's sides in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from schemas.dead_letter import Rejection
from schemas.shadow_prediction import ShadowPrediction
from streaming.clock import isoformat
from streaming.models.ref import ModelKey, ModelVersion
from streaming.outputs import headers
from streaming.outputs.envelope import Stamp
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration, Transition, Weights
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime
from streaming.shadow.pairing import SkipReason
from streaming.shadow.rounds import OutputPartition, PairedRecord, Positions
from streaming.shadow.scoring import InputEvent
from streaming.shadow.served import Coordinates, ServedAnswer, ServedReader

APPLICATION, TOPIC, NAME = "app", "features", "late"
NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
LABELS = {"labelled days": 10}
PLAN = RolloutPlan((RolloutStep(0, LABELS), RolloutStep(0.25, LABELS)), probation=RolloutStep(1, LABELS))
PHASES = {1: RolloutPhase.STEP, 2: RolloutPhase.STEP, 3: RolloutPhase.PROMOTING, 4: RolloutPhase.PROBATION}
"""The phase of each weight epoch, in a rollout that goes well."""

Stored = tuple[bytes | None, Sequence[tuple[str, bytes | None]], bytes]
"""Key, headers and value."""


def transitions(application: str = APPLICATION, champion: int | None = 1) -> list[dict[str, Any]]:
    """The records of a rollout of version 2 beside version 1, up to its probation."""
    declared = Declaration(
        name="late-2",
        application=application,
        candidate=ModelKey(NAME, 2),
        salt="late-2",
        plan=PLAN,
        at=isoformat(NOW),
    )
    time = RolloutTime(NOW, NOW)
    return [
        declared.to_dict(),
        *(
            Transition(
                declaration=declared,
                number=epoch,
                orders=1,
                state=RolloutState(phase, min(epoch - 1, 1), time, "so it is"),
                weights=Weights(epoch),
                champion=champion,
                at=isoformat(NOW),
            ).to_dict()
            for epoch, phase in PHASES.items()
        ),
    ]


@dataclass(frozen=True)
class Answered:
    """An event that a version has answered; without an epoch it is part of no rollout."""

    partition: int
    offset: int
    version: int = 1
    epoch: int | None = None
    role: str = "champion"
    key: bytes | None = None
    application: str = APPLICATION
    scored_at: datetime = NOW
    topic: str = TOPIC
    fields: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    """Makes it a dead letter."""

    @property
    def prediction_id(self) -> str:
        """The id of its prediction, or the one that this would have."""
        return f"{self.stamp.id_prefix}{self.partition}:{self.offset}"

    @property
    def stamp(self) -> Stamp:
        """What its batch has in common."""
        weights = None if self.epoch is None else WeightEpoch("late-2", self.epoch)
        version = ModelVersion(NAME, self.version, f"run{self.version}")
        return Stamp(self.topic, version, self.role, isoformat(self.scored_at), weights)

    def stored(self) -> Stored:
        """The prediction, or the dead letter, as it stands on its topic."""
        if self.reason:
            return self._rejected()
        stamp, name = self.stamp, self.prediction_id
        value = {
            "prediction_id": name,
            "event_id": f"e{self.partition}-{self.offset}",
            "event_time": isoformat(NOW),
            "prediction": 1.0,
            "label": "late",
            "probability": [0.25, 0.75],
            "confidence": 0.75,
            "scored_at": stamp.scored_at,
            "model_name": NAME,
            "model_version": self.version,
            "run_id": stamp.version.run_id,
            "role": self.role,
            **self.fields,
        }
        own = headers.varying(name, self.offset, isoformat(NOW), None)
        made = [*headers.constant(stamp, self.partition, self.application), *own, *headers.of_rollout(stamp)]
        return self.key, in_bytes(made), json.dumps(value).encode()

    def _rejected(self) -> Stored:
        position, stamp = (self.topic, self.partition, self.offset), self.stamp
        made = headers.rejected([("own", b"1")], Rejection(self.reason, "carrier"), position, self.application, stamp)
        made += [*headers.times(isoformat(NOW), None), *headers.rejected_of_rollout(stamp)]
        event = {"event_id": f"e{self.partition}-{self.offset}", **self.fields}
        return self.key, in_bytes(made), json.dumps(event).encode()

    def served(self) -> ServedAnswer:
        """The prediction as a shadow reads it; fails where it would pass it over."""
        read = ServedReader(self.application).read(*self.stored())
        assert read is not None
        return read


def in_bytes(made: headers.Headers) -> list[tuple[str, bytes | None]]:
    """Return headers as a consumer hands them over."""
    return [(name, word if isinstance(word, bytes) else (word or "").encode()) for name, word in made]


@dataclass
class Memory:
    """A shadow's topics in memory: a write is kept whole or, while it ``fails``, not at all."""

    events_there: dict[Coordinates, InputEvent] = field(default_factory=dict)
    pairs: list[ShadowPrediction] = field(default_factory=list)
    positions: dict[OutputPartition, int] = field(default_factory=dict)
    fails: bool = False
    skips: dict[SkipReason, int] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=transitions)
    looks: int = 0

    def events(self, asked: Mapping[int, Sequence[int]]) -> dict[Coordinates, InputEvent]:
        positions = [(partition, offset) for partition, offsets in asked.items() for offset in offsets]
        return {position: self.events_there[position] for position in positions if position in self.events_there}

    def write(self, records: Sequence[PairedRecord], positions: Positions) -> Sequence[PairedRecord]:
        if self.fails:
            raise ConnectionError("killed before the commit")
        self.pairs += [record.pair for record in records]
        self.positions.update(positions)
        return records

    def records(self) -> list[dict[str, Any]]:
        self.looks += 1
        return self.ledger

    def paired(self, pair: ShadowPrediction) -> None:
        assert pair in self.pairs, "only what is on the topic is told"

    def skipped(self, reason: SkipReason, count: int) -> None:
        self.skips[reason] = self.skips.get(reason, 0) + count

    def lag(self, seconds: float) -> None:
        self.lags.append(seconds)
