"""From arrivals to numbers: latency by event, its percentiles, throughput, growth of the backlog, silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.latency.load import Times
from streaming.accounting.load import NANOSECONDS

NEVER = np.iinfo(np.int64).max
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}


@dataclass(frozen=True)
class Arrivals:
    """What a reader was handed, in its order: event ids (-1: none found), times, predictions (NaN: none found)."""

    ids: npt.NDArray[np.int64]
    times: Times
    predictions: npt.NDArray[np.float64]

    def of(self, first: int, events: int) -> Arrivals:
        """Return those of the events from ``first`` on, counted from 0."""
        mine = (self.ids >= first) & (self.ids < first + events)
        return Arrivals(self.ids[mine] - first, self.times[mine], self.predictions[mine])


def first_arrivals(arrivals: Arrivals, events: int) -> Times:
    """Return the time of each event's first output, or ``NEVER``; the ids in ``arrivals`` are below ``events``."""
    arrived = np.full(events, NEVER, np.int64)
    np.minimum.at(arrived, arrivals.ids, arrivals.times)
    return arrived


def percentiles_ms(nanoseconds: Times) -> dict[str, float]:
    """Return the percentiles in milliseconds: of each, the smallest measured value that so many do not exceed.

    >>> percentiles_ms(np.array([2, 1, 3, 4]) * 1_000_000)["p50"]
    2.0
    """
    if not len(nanoseconds):
        return dict.fromkeys(PERCENTILES, float("nan"))
    percentiles = np.percentile(nanoseconds, list(PERCENTILES.values()), method="inverted_cdf") / 1e6
    return dict(zip(PERCENTILES, (round(float(value), 3) for value in percentiles), strict=True))


def worked_off_rate(start: int, times: Times) -> float:
    """Return the outputs per second from ``start``, when the events began to come, to the last output.

    Rates between outputs would flatter a system that shows a batch's outputs all at once, such as a transactional one.
    """
    if not len(times) or times.max() <= start:
        return float("nan")
    return float(len(times) * NANOSECONDS / (times.max() - start))


def backlog_growth(due: Times, arrived: Times) -> float:
    """Return by how many events per second the backlog grows.

    The backlog at a moment is what was due by then and has not arrived. It is looked at a hundred times from the first
    to the last event's due time.
    """
    moments = np.linspace(due[0], due[-1], 100)
    waiting = np.searchsorted(due, moments, "right") - np.searchsorted(np.sort(arrived), moments, "right")
    return growth_per_second(moments, waiting)


def growth_per_second(moments: npt.NDArray[Any], values: npt.NDArray[Any]) -> float:
    """Return the slope of the straight line through values at moments given in nanoseconds."""
    return float(np.polyfit((moments - moments[0]) / NANOSECONDS, values, 1)[0])


def silences(times: Times, most: int = 200) -> list[tuple[int, int]]:
    """Return the longest times between two outputs that follow each other: begin and end of each, in their order."""
    ordered = np.sort(times)
    longest = np.sort(np.argsort(np.diff(ordered))[-most:])
    return [(int(ordered[at]), int(ordered[at + 1])) for at in longest]


def longest_silence_ms(times: Times) -> float:
    """Return the longest time between two outputs that follow each other."""
    longest = silences(times, most=1)
    return round((longest[0][1] - longest[0][0]) / 1e6, 3) if longest else float("nan")
