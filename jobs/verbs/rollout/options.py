"""The options of ``penstock rollout``."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.rollout.size import Question


@dataclass(frozen=True)
class RolloutSizeOptions:
    """What ``rollout size`` answers; without ``events_per_day`` it says nothing of days."""

    question: Question
    events_per_day: float | None = None
    day_deviation: float = 0.0
