"""The series that a soak judges, each with its title, its unit, and the growth that is too much."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.soak.slope import DAY, Limit

SWAP_EVERY = 60.0
"""Seconds from one swap to the next."""
_MB = 1e6


@dataclass(frozen=True)
class Series:
    """One series; ``unit`` is what its values are divided by for showing, ``plot`` the picture that it is drawn in."""

    title: str
    plot: str
    limit: Limit
    unit: float = 1.0


def _tenth(mean: float) -> float:
    """A tenth of the mean in a day."""
    return 0.1 * mean


def _one_in_five_swaps(_: float) -> float:
    """One a swap is how handles, threads and files leak, and a fifth of that is told from none in minutes."""
    return 0.2 * DAY / SWAP_EVERY


JUDGED = {
    "heap": Series("JVM heap after a full collection, MB", "memory", _tenth, _MB),
    "jvm_rss": Series("JVM, resident, MB", "memory", _tenth, _MB),
    "driver_rss": Series("Python driver, resident, MB", "memory", _tenth, _MB),
    "workers_own": Series("Python workers, resident and unshared, MB", "memory", _tenth, _MB),
    "driver_handles": Series("Python driver, file handles", "handles", _one_in_five_swaps),
    "jvm_handles": Series("JVM, file handles", "handles", _one_in_five_swaps),
    "workers_handles": Series("Python workers, file handles", "handles", _one_in_five_swaps),
    "driver_threads": Series("Python driver, threads", "threads", _one_in_five_swaps),
    "jvm_threads": Series("JVM, threads", "threads", _one_in_five_swaps),
    "workers_threads": Series("Python workers, threads", "threads", _one_in_five_swaps),
    "checkpoint_files": Series("checkpoint, files", "files", _one_in_five_swaps),
    "cache_files": Series("model cache, files", "files", _one_in_five_swaps),
}
SHOWN = {
    "metaspace": Series("JVM metaspace, MB", "more", _tenth, _MB),
    "jvm_outside_heap": Series("JVM, resident outside the heap, MB", "more", _tenth, _MB),
    "driver_own": Series("Python driver, resident and unshared, MB", "more", _tenth, _MB),
    "workers": Series("Python workers and their daemon", "more", _one_in_five_swaps),
    "checkpoint_bytes": Series("checkpoint, kB", "more", _tenth, 1e3),
    "cache_bytes": Series("model cache, kB", "more", _tenth, 1e3),
    "lag": Series("lag, records", "more", _tenth),
}
"""For whoever looks for a cause; they do not decide."""
