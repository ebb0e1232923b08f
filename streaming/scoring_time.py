"""How long a version took for some events: measured where they are scored, and recorded in the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoringTime:
    """Events that a version has read and scored, and the seconds that one process after another took for it."""

    events: int = 0
    seconds: float = 0.0

    def __add__(self, other: ScoringTime) -> ScoringTime:
        """Return both together."""
        return ScoringTime(self.events + other.events, self.seconds + other.seconds)
