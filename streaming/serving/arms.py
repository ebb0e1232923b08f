"""The arms by which a server answers: the version that serves and, in a step of a rollout, its candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from schemas import prediction
from schemas.dead_letter import Rejection
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.serving.looked_up import LookedUp


class Degraded(NamedTuple):
    """Why a version answers in the place of another: a :class:`schemas.prediction.DegradedReason`, and of which one."""

    reason: str
    instead_of: ModelVersion


@dataclass(frozen=True, eq=False)
class ServedArm:
    """A version that answers, and as what.

    ``weights`` name the rollout's step where there is one, and ``degraded`` says why the fallback chain answers, where
    it does.
    """

    model: ServedModel
    role: str = CHAMPION
    weights: WeightEpoch | None = None
    degraded: Degraded | None = None


@dataclass(frozen=True, eq=False)
class ServedArms:
    """The arms of a pass. Without a candidate, which comes with its assignment, the champion answers every event."""

    champion: ServedArm
    candidate: ServedArm | None = None
    assignment: ArmAssignment | None = None

    def is_candidates(self, key: str | None, event_id: str | None) -> bool:
        """Return whether the candidate answers an event: by its key, or its id where it has none."""
        identity = event_id if key is None else key
        if self.assignment is None or identity is None:
            return False
        return self.assignment.arm_of(None, identity) == CANDIDATE


class EventAnswer(NamedTuple):
    """A prediction's JSON, or why the stream would make a dead letter of the event; and the arm that says so.

    ``looked_up`` is what the event was given from the lookup table, if anything was.
    """

    value: bytes | Rejection
    arm: ServedArm
    looked_up: LookedUp | None = None


ArmsOf = Callable[[ServedModel], ServedArms]
"""The version that serves to the arms of the next pass; the same objects as long as nothing changes."""


def model_headers(model: ServedModel) -> Mapping[str, str]:
    """Return the headers that name the version, by the names that predictions on a topic have them."""
    return _headers_of(model.version)


def arm_headers(arm: ServedArm) -> Mapping[str, str]:
    """Return the headers that name the version and, in a rollout, its role and the step, or why it stands in."""
    if arm.degraded is not None:
        return {**model_headers(arm.model), prediction.DEGRADED: arm.degraded.reason}
    if arm.weights is None:
        return model_headers(arm.model)
    return {**model_headers(arm.model), prediction.ROLE: arm.role, **step_headers(arm.weights)}


def step_headers(weights: WeightEpoch | None) -> Mapping[str, str]:
    """Return the headers that name a rollout's step."""
    if weights is None:
        return {}
    return {prediction.ROLLOUT: _fit(weights.rollout), prediction.WEIGHT_EPOCH: str(weights.epoch)}


@lru_cache(maxsize=8)
def _headers_of(version: ModelVersion) -> Mapping[str, str]:
    return {
        prediction.MODEL_NAME: _fit(version.name),
        prediction.MODEL_VERSION: str(version.version),
        prediction.RUN_ID: version.run_id,
    }


def _fit(name: str) -> str:
    # A name may have any letter, and a header only some.
    return quote(name, safe=" !#$&'()*+,/:;=?@[]")
