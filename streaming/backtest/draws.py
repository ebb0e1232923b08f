"""What a bootstrap draws. Neighbouring events have much in common: one storm delays every flight of a day.

Drawn one by one they would pass for that many independent proofs. On the demonstration's flights, events give intervals
a seventh as wide as days do. So whole days are drawn, or shorter spans where there are too few of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streaming.statistics.arrays import Floats, Ints

_SPANS = {"days": 24, "six-hour spans": 6, "hours": 1}
"""Lengths of blocks in hours, the longest first."""
_FEWEST_SPANS = 20
_MOST_EVENTS = 100_000_000
_REPLICATES = 400, 1_000
"""Fewest and most; in between as many as draw :data:`_MOST_EVENTS` in all."""


@dataclass(frozen=True)
class Draws:
    """``unit`` says to which of ``count`` units each event belongs; units are drawn whole, ``replicates`` times."""

    unit_name: str
    unit: Ints
    count: int
    replicates: int

    def weights(self, random: np.random.Generator) -> Floats:
        """Draw as many units as there are, with replacement: how often each unit came."""
        return np.bincount(random.integers(0, self.count, self.count), minlength=self.count).astype(np.float64)


def draws_for(hour: Ints | None, events: int, replicates: int = 0) -> Draws:
    """Choose what to draw.

    Args:
        hour: of each event, counted from 1970; ``None`` where that is not known.
        events: how many there are.
        replicates: how often to draw; 0 chooses by the number of events.
    """
    fewest, most = _REPLICATES
    # Fewer draws of many events: their intervals are narrow and each draw takes longer.
    replicates = replicates or max(fewest, min(most, _MOST_EVENTS // max(events, 1)))
    for span, length in _SPANS.items():
        if hour is None:
            break
        spans, unit = np.unique(hour // length, return_inverse=True)
        # The longest span that leaves enough units: events of a day are alike, so whole days are drawn.
        if len(spans) >= _FEWEST_SPANS:
            return Draws(span, unit.astype(np.int64), len(spans), replicates)
    return Draws("events", np.arange(events), events, replicates)
