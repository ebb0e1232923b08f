"""The series that a soak judges, each with its title, its unit, and the growth that is too much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.soak.slope import DAY, Array, Limit, Trend, Value

SWAP_EVERY = 60.0
"""Seconds from one swap to the next."""
_MB = 1e6


@dataclass(frozen=True)
class SoakSeries:
    """One series.

    Attributes:
        title: what it is, with its unit.
        plot: the picture that it is drawn in.
        limit: the growth that is too much.
        unit: what its values are divided by for showing.
        value: what stands for the samples between two swaps.
    """

    title: str
    plot: str
    limit: Limit
    unit: float = 1.0
    value: Value = np.mean

    def growth(self, trend: Trend, growth: float) -> str:
        """Return a growth (a day) in the words of its limit."""
        if self.limit is a_tenth:
            return f"{trend.share(growth):+.1%} a day"
        return f"{growth * SWAP_EVERY / DAY:+.2f} a swap"


def a_tenth(mean: float) -> float:
    """A tenth of the mean in a day."""
    return 0.1 * mean


def half_a_swap(_: float) -> float:
    """For what is counted: it leaks by one a swap, or by one a batch, or not at all; half a one tells these apart."""
    return 0.5 * DAY / SWAP_EVERY


def between_batches(values: Array) -> float:
    """Return the lowest twentieth's bound: a batch under way holds some 6 MB more, and what is never let go of is there
    between batches, too. The very lowest hangs on one sample of sixty, and its slope on chance.
    """
    return float(np.quantile(values, 0.05))


JUDGED = {
    "heap": SoakSeries(
        title="JVM heap after a full collection, between batches, MB",
        plot="memory",
        limit=a_tenth,
        unit=_MB,
        value=between_batches,
    ),
    "jvm_rss": SoakSeries("JVM, resident, MB", "memory", a_tenth, _MB),
    "driver_rss": SoakSeries("Python driver, resident, MB", "memory", a_tenth, _MB),
    "workers_own": SoakSeries("Python workers, resident and unshared, MB", "memory", a_tenth, _MB),
    "driver_handles": SoakSeries("Python driver, file handles", "handles", half_a_swap),
    "jvm_handles": SoakSeries("JVM, file handles", "handles", half_a_swap),
    "workers_handles": SoakSeries("Python workers, file handles", "handles", half_a_swap),
    "driver_threads": SoakSeries("Python driver, threads", "threads", half_a_swap),
    "jvm_threads": SoakSeries("JVM, threads beside two elastic pools", "threads", half_a_swap),
    "workers_threads": SoakSeries("Python workers, threads", "threads", half_a_swap),
    "checkpoint_files": SoakSeries("checkpoint, files", "files", half_a_swap),
    "cached_versions": SoakSeries("model cache, versions", "files", half_a_swap),
}
SHOWN = {
    "heap_mean": SoakSeries("JVM heap after a full collection, mean, MB", "more", a_tenth, _MB),
    "metaspace": SoakSeries("JVM metaspace, MB", "more", a_tenth, _MB),
    "jvm_outside_heap": SoakSeries("JVM, resident outside the heap, MB", "more", a_tenth, _MB),
    "driver_own": SoakSeries("Python driver, resident and unshared, MB", "more", a_tenth, _MB),
    "workers": SoakSeries("Python workers and their daemon", "more", half_a_swap),
    "checkpoint_bytes": SoakSeries("checkpoint, kB", "more", a_tenth, 1e3),
    "cache_bytes": SoakSeries("model cache, kB", "more", a_tenth, 1e3),
    "lag": SoakSeries("lag, records", "more", a_tenth),
}
"""For whoever looks for a cause; they do not decide."""
