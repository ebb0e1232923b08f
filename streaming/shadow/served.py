"""Predictions of a rollout as they stand on their topic: the answer, who gave it, and where the event is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas import prediction as contract
from schemas.shadow_prediction import PairedAnswer
from streaming.models.ref import ModelKey
from streaming.outputs.weights import WeightEpoch

EventPosition = tuple[str, int, int]
"""Topic, partition and offset."""
Coordinates = tuple[int, int]
"""Partition and offset on the input topic."""


class ServedFields(msgspec.Struct):
    """What of a prediction's value is read; ``schemas/contracts/prediction.json`` describes it."""

    prediction_id: str
    event_id: str
    event_time: str
    prediction: float
    label: str | None
    probability: tuple[float | str | None, ...] | None
    confidence: float | str | None
    scored_at: str
    model_name: str
    model_version: int


@dataclass(frozen=True)
class ServedPrediction:
    """One prediction of a rollout; ``key`` is the event's own."""

    key: bytes | None
    position: EventPosition
    step: WeightEpoch
    fields: ServedFields

    @property
    def version(self) -> ModelKey:
        """The version that answered."""
        return ModelKey(self.fields.model_name, self.fields.model_version)

    @property
    def answer(self) -> PairedAnswer:
        """What it answered."""
        fields = self.fields
        return PairedAnswer(
            model=fields.model_name,
            version=fields.model_version,
            prediction=fields.prediction,
            label=fields.label,
            probability=None if fields.probability is None else finite_numbers(fields.probability),
            confidence=finite_or_none(fields.confidence),
        )


class ServedReader:
    """Reads the predictions of one application's rollouts."""

    def __init__(self, application: str) -> None:
        self._source = f"/penstock/{application}/".encode()
        self._decode = msgspec.json.Decoder(ServedFields).decode

    def read(
        self, key: bytes | None, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
    ) -> ServedPrediction | None:
        """Read a record of the predictions' topic; ``None`` for what is no prediction of a rollout of ours."""
        by_name = {name: content or b"" for name, content in headers}
        # Before anything is decoded: most of what stands on the topic is part of no rollout.
        if contract.ROLLOUT not in by_name or not by_name.get(contract.CE_SOURCE, b"").startswith(self._source):
            return None
        try:
            step = WeightEpoch(by_name[contract.ROLLOUT].decode(), int(by_name[contract.WEIGHT_EPOCH]))
            partition, offset = int(by_name[contract.SOURCE_PARTITION]), int(by_name[contract.SOURCE_OFFSET])
            position = by_name[contract.SOURCE_TOPIC].decode(), partition, offset
            return ServedPrediction(key, position, step, self._decode(value or b""))
        except (KeyError, ValueError):
            return None


def finite_numbers(numbers: Sequence[float | str | None]) -> tuple[float | None, ...]:
    """Return the numbers, ``None`` for those that are not finite, which a prediction's JSON spells as text."""
    return tuple(map(finite_or_none, numbers))


def finite_or_none(number: float | str | None) -> float | None:
    """Return a number, or ``None`` if it is none or not finite."""
    return number if isinstance(number, (float, int)) and math.isfinite(number) else None
