"""What stands on the shadow topic: both versions' answers to one event, of which only one was served.

The same contract for subscribers in any language: ``contracts/shadow_prediction.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import msgspec

SHADOW_TYPE = "penstock.shadow_prediction.v1"


class ShadowRole(str, Enum):
    """Which of the two versions did not answer subscribers."""

    SHADOW = "shadow"
    """The candidate, of an event that the champion answered."""
    REVERSE_SHADOW = "reverse shadow"
    """The champion, of an event that the candidate answered: a canary's, or any in probation."""


@dataclass(frozen=True)
class PairedAnswer:
    """What one version says of the event, as its predictions have it; times and ids are the record's.

    Without an answer ``prediction`` is ``None`` and ``reason`` is what a dead letter's would be: the version rejects
    the event, or throws on it (``SCORING_FAILED``), and then ``error`` is what it said. ``field`` is the one at fault,
    if there is one. In ``probability`` and ``confidence`` a number that is not finite is ``None``.
    """

    model: str
    version: int
    prediction: float | None = None
    label: str | None = None
    probability: tuple[float | None, ...] | None = None
    confidence: float | None = None
    reason: str | None = None
    field: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class ShadowPrediction:
    """One event and both versions' answers; times are RFC 3339 in UTC with milliseconds.

    Attributes:
        prediction_id: of the served prediction; of a dead letter, the id that its prediction would have.
        event_id: the event's own.
        event_time: the event's own.
        source_topic: with partition and offset, where the event is.
        source_partition: the event's.
        source_offset: the event's.
        application: whose rollout it is.
        rollout: the rollout's name.
        weight_epoch: of the step in which the event was answered.
        role: which of the two versions was in the shadow.
        scored_at: when it was, by the shadow.
        served: the answer that subscribers got.
        shadow: the other version's answer.
        type: the contract.
    """

    prediction_id: str
    event_id: str
    event_time: str
    source_topic: str
    source_partition: int
    source_offset: int
    application: str
    rollout: str
    weight_epoch: int
    role: ShadowRole
    scored_at: str
    served: PairedAnswer
    shadow: PairedAnswer
    type: Literal["penstock.shadow_prediction.v1"] = "penstock.shadow_prediction.v1"

    @property
    def shadow_id(self) -> str:
        """An id that is the same for the same event, shadowed version and role, however often the event is scored.

        >>> event = ("2013-07-01-EV-5038-LGA", "2013-07-01T05:15:00.000Z", "features", 3, 1204)
        >>> sides = PairedAnswer("flights", 7, 0.0), PairedAnswer("flights", 8, 1.0)
        >>> when = ShadowRole.SHADOW, "2026-07-01T05:15:02.000Z"
        >>> ShadowPrediction("flights:champion:features:3:1204", *event, "job", "flights-8", 2, *when, *sides).shadow_id
        'flights:8:shadow:features:3:1204'
        """
        position = f"{self.source_topic}:{self.source_partition}:{self.source_offset}"
        return f"{self.shadow.model}:{self.shadow.version}:{self.role.value.replace(' ', '-')}:{position}"

    def to_json(self) -> bytes:
        """Return the record's value."""
        # The id is derived, so it is no field, and stands first for people who read the topic.
        return b'{"shadow_id":%b,%b' % (json.dumps(self.shadow_id).encode(), _ENCODE(self)[1:])


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(ShadowPrediction).decode


def read_shadow(value: bytes | str | None) -> ShadowPrediction | None:
    """Read a value; ``None`` for what is no shadow prediction. Fields that it does not know are passed over."""
    try:
        return _DECODE(value or b"")
    # Text that is no UTF-8 is an error of its own to msgspec, and so is what is nested too deeply.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
