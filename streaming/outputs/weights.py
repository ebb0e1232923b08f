"""The step of a rollout, as plans and predictions name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightEpoch:
    """A step of a rollout: the rollout's name, and the epoch of its weights."""

    rollout: str
    epoch: int
