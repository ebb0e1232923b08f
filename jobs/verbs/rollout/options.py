"""The options of ``penstock rollout``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streaming.rollout.size import Question


@dataclass(frozen=True)
class RolloutSizeOptions:
    """What ``rollout size`` answers; without ``events_per_day`` it says nothing of days."""

    question: Question
    events_per_day: float | None = None
    day_deviation: float = 0.0


@dataclass(frozen=True)
class RolloutRepairOptions:
    """``rollout`` is its name, the latest by default; with ``dry_run`` nothing is written."""

    rollout: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class RolloutReportOptions:
    """``rollout`` is its name, the latest by default; ``html`` a path for the page."""

    rollout: str | None = None
    html: Path | None = None
