"""The deciding metric from one stretch of time to the next: is the candidate better mostly, or on a single day?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt

from streaming.backtest.metrics import SideJudge
from streaming.clock import isoformat
from streaming.statistics.arrays import Ints

_HOURS = (1, 6, 24, 7 * 24, 28 * 24, 364 * 24)
_MOST = 60


@dataclass(frozen=True)
class TimelineStretch:
    """Some labelled events that lie together in time: from when on, how many, and the metric on either side."""

    start: str
    events: int
    recorded: float
    candidate: float


def timeline(hour: Ints | None, judges: tuple[SideJudge, SideJudge], metric: int) -> tuple[TimelineStretch, ...]:
    """Cut the events into stretches of equal length, at most sixty, and measure each.

    Args:
        hour: of each event, counted from 1970; ``None`` where that is not known.
        judges: recorded, candidate.
        metric: of the metric among the judges'.
    """
    if hour is None:
        return ()
    for length in _HOURS:
        starts, stretch = np.unique(hour // length, return_inverse=True)
        if len(starts) <= _MOST:
            break
    return tuple(
        _stretch(int(start) * length, stretch == number, judges, metric) for number, start in enumerate(starts[:_MOST])
    )


def _stretch(
    hour: int, chosen: npt.NDArray[np.bool_], judges: tuple[SideJudge, SideJudge], metric: int
) -> TimelineStretch:
    weights = chosen.astype(np.float64)
    recorded, candidate = (float(judge(weights)[metric]) for judge in judges)
    start = isoformat(datetime.fromtimestamp(hour * 3_600, timezone.utc))
    return TimelineStretch(start, int(chosen.sum()), recorded, candidate)
