"""How long the versions of several arms take for as many events each, so that their times can be compared.

A pass has a cost that does not depend on the number of its rows. Of two equal versions, the one with few rows would
therefore seem the slower one, by its time for a row. So each arm is timed on as many rows as the smallest arm has, and
its other rows are scored beside that.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.scoring_time import ScoringTime


@dataclass(frozen=True, eq=False)
class ArmPart:
    """Rows of one arm, by their positions in the batch, that its version scores together."""

    arm: int
    rows: NDArray[np.int64]
    is_timed: bool = False


class ArmTimes:
    """What one process has measured since somebody asked last."""

    def __init__(self) -> None:
        self._times: defaultdict[int, ScoringTime] = defaultdict(ScoringTime)
        self._is_reversed = False

    def comparable(self, parts: Sequence[ArmPart]) -> list[ArmPart]:
        """Split parts so that those which are timed are equally large and together have each arm once."""
        size = min(len(part.rows) for part in parts)
        timed, others = [], []
        for part in parts:
            # Events that come together are alike, so the chosen ones are spread over the batch.
            chosen = np.arange(size) * len(part.rows) // size
            timed.append(ArmPart(part.arm, part.rows[chosen], is_timed=True))
            if size < len(part.rows):
                others.append(ArmPart(part.arm, np.delete(part.rows, chosen)))
        # Whoever comes first has the colder caches, so the arms take turns.
        self._is_reversed = not self._is_reversed
        return [*(reversed(timed) if self._is_reversed else timed), *others]

    @contextmanager
    def measured(self, part: ArmPart) -> Iterator[None]:
        """Add the time of a block that scores a part, if that is timed."""
        began = time.perf_counter()
        yield
        if part.is_timed:
            self._times[part.arm] += ScoringTime(len(part.rows), time.perf_counter() - began)

    def taken(self) -> Mapping[int, ScoringTime]:
        """Return the times by arm, and begin anew."""
        times, self._times = dict(self._times), defaultdict(ScoringTime)
        return times
