"""Streams in which nothing changes but the season: how many of their windows signal against their own past."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from benchmarks.drift.seasons import KEPT
from streaming.drift.decision import DetectionRules, WindowCounts, WindowJudge
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.training.spread import spread

Sample = np.ndarray
Make = Callable[[np.random.Generator, int], list[Sample]]


def hourly(draw: np.random.Generator, windows: int) -> list[Sample]:
    """Return hours with a daily cycle and a little noise that is alike from hour to hour."""
    level, hours = 0.0, []
    for window in range(windows):
        level = 0.7 * level + draw.normal(0, 0.05)
        hours.append(draw.normal(0.5 * math.sin(2 * math.pi * window / 24) + level, 1, 1000))
    return hours


def daily(draw: np.random.Generator, windows: int) -> list[Sample]:
    """Return days of which weekends differ."""
    return [draw.normal(0.3 if window % 7 in (5, 6) else 0.0, 1, 3000) for window in range(windows)]


CALENDARS: dict[str, tuple[Make, int]] = {
    **{f"{days} days of hours": (hourly, days * 24) for days in (7, 14, 28, 30, 31, 60, 90)},
    **{f"{days} days": (daily, days) for days in (182, 365, 366, 420)},
}
FRESH = 182


def counted(edges: tuple[float, ...], values: Sample) -> dict[int, int]:
    """Return how many values fall into each bin."""
    return dict(Counter(np.searchsorted(edges, values, side="right").tolist()))


def share_of_signals(make: Make, reference: int) -> float:
    """Return the share of windows after the reference that signal; its own windows are chosen as training does."""
    windows = make(np.random.default_rng(4), reference + FRESH)
    past, fresh = windows[:reference], windows[reference:]
    every = np.concatenate(past)
    inner = np.quantile(every, [tenth / 10 for tenth in range(1, 10)])
    edges = (float(every.min()), *map(float, inner), math.nextafter(float(every.max()), math.inf))
    chosen = tuple(counted(edges, past[window]) for window in spread(range(reference), KEPT))
    centres = (0.0,) * (len(edges) + 1)
    column = ColumnProfile("x", "numeric", counted(edges, every), edges, (), centres, float(every.std()), chosen)
    judge = WindowJudge(ReferenceProfile((column,), len(every), 3600.0), DetectionRules())
    signals = 0
    for number, values in enumerate(fresh):
        window = WindowCounts(number * 3600, number * 3600 + 3600, len(values), 0, (counted(edges, values),))
        signals += judge.judge(window)[0].signal
    return signals / len(fresh)
