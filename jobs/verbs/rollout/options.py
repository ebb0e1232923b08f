"""The options of ``penstock rollout``."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.errors import ConfigurationError
from streaming.rollout.size import Question


@dataclass(frozen=True)
class RolloutSizeOptions:
    """What ``rollout size`` answers; without ``events_per_day`` it says nothing of days.

    Raises:
        ConfigurationError: days differ, and nothing says how many events a day has.
    """

    question: Question
    events_per_day: float | None = None
    day_deviation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would not be looked at."""
        if self.day_deviation and self.events_per_day is None:
            raise ConfigurationError("--day-deviation is about days; say how many labels one has with --events-per-day")
