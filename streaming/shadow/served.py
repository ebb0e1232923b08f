"""What a rollout has answered, by predictions and dead letters: the answer, who gave it, and where the event is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from schemas import dead_letter, prediction
from schemas.shadow_prediction import PairedAnswer
from streaming.events.identity import event_id_of
from streaming.models.ref import ModelKey
from streaming.outputs.dead_letters import DeadLetter, Place
from streaming.outputs.weights import WeightEpoch

EventPosition = tuple[str, int, int]
"""Topic, partition and offset."""
Coordinates = tuple[int, int]
"""Partition and offset on the input topic."""
OF_A_VERSION = ("VALIDATION", "TRANSFORMATION")
"""The stages whose reasons depend on the version: what is no JSON, or no event, is rejected by all alike."""


class ServedFields(msgspec.Struct):
    """What of a prediction's value is read; ``schemas/contracts/prediction.json`` describes it.

    A dead letter has a reason in place of a prediction. Its id is the one that its prediction would have.
    """

    prediction_id: str
    event_id: str
    event_time: str
    prediction: float | None
    label: str | None
    probability: tuple[float | str | None, ...] | None
    confidence: float | str | None
    scored_at: str
    model_name: str
    model_version: int
    reason: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class ServedAnswer:
    """One prediction or dead letter of a rollout; ``key`` is the event's own."""

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
            reason=fields.reason,
            field=fields.field,
        )


@dataclass
class ServedReader:
    """Reads what one application's rollouts have answered.

    Attributes:
        application: whose they are.
        id_field: of the events' own ids, which a dead letter has where the event had it; ``None``: their position.
    """

    application: str
    id_field: str | None = "event_id"

    def __post_init__(self) -> None:
        """Make what all records share."""
        self._source = f"/penstock/{self.application}/".encode()
        self._decode = msgspec.json.Decoder(ServedFields).decode

    def read(
        self, key: bytes | None, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
    ) -> ServedAnswer | None:
        """Read a record; ``None`` for what is no answer of a rollout of ours, or rejects what no version can read."""
        by_name = {name: content or b"" for name, content in headers}
        # Before anything is decoded: most of what stands on the topics is part of no rollout.
        if prediction.ROLLOUT not in by_name:
            return None
        try:
            if dead_letter.REASON in by_name:
                return self._rejected(DeadLetter(Place(0, 0), 0, key, value, tuple(headers)))
            return self._predicted(key, by_name, value)
        except (KeyError, ValueError, RecursionError, msgspec.DecodeError):
            return None

    def _predicted(self, key: bytes | None, by_name: Mapping[str, bytes], value: bytes | None) -> ServedAnswer | None:
        if not by_name[prediction.CE_SOURCE].startswith(self._source):
            return None
        step = WeightEpoch(by_name[prediction.ROLLOUT].decode(), int(by_name[prediction.WEIGHT_EPOCH]))
        partition, offset = int(by_name[prediction.SOURCE_PARTITION]), int(by_name[prediction.SOURCE_OFFSET])
        position = by_name[prediction.SOURCE_TOPIC].decode(), partition, offset
        fields = self._decode(value or b"")
        return None if fields.prediction is None else ServedAnswer(key, position, step, fields)

    def _rejected(self, letter: DeadLetter) -> ServedAnswer | None:
        """Read a dead letter whose reason depends on the version, of an event whose id and time can be read."""
        added, reason, source = letter.added, dead_letter.Reason(letter.reason), letter.source
        is_ours = added[dead_letter.ERROR_CONNECTOR] == self.application
        if not is_ours or source is None or dead_letter.STAGE[reason] not in OF_A_VERSION:
            return None
        event_id = event_id_of(letter.value, self.id_field, source.partition, source.offset)
        if event_id is None:
            return None
        topic, model = added[dead_letter.ERROR_TOPIC], added[dead_letter.MODEL_NAME]
        prefix = prediction.id_prefix(model, added[dead_letter.ROLE], topic)
        fields = ServedFields(
            prediction_id=f"{prefix}{source.partition}:{source.offset}",
            event_id=event_id,
            event_time=added[dead_letter.EVENT_TIME],
            prediction=None,
            label=None,
            probability=None,
            confidence=None,
            scored_at=added[dead_letter.REJECTED_AT],
            model_name=model,
            model_version=int(added[dead_letter.MODEL_VERSION]),
            reason=reason.value,
            field=added.get(dead_letter.FIELD),
        )
        step = WeightEpoch(added[dead_letter.ROLLOUT], int(added[dead_letter.WEIGHT_EPOCH]))
        return ServedAnswer(letter.key, (topic, source.partition, source.offset), step, fields)


def finite_numbers(numbers: Sequence[float | str | None]) -> tuple[float | None, ...]:
    """Return the numbers, ``None`` for those that are not finite, which a prediction's JSON spells as text."""
    return tuple(map(finite_or_none, numbers))


def finite_or_none(number: float | str | None) -> float | None:
    """Return a number, or ``None`` if it is none or not finite."""
    return number if isinstance(number, (float, int)) and math.isfinite(number) else None
