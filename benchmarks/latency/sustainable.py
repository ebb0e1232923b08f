"""The highest rate that a system keeps up with.

After Karimov et al., "Benchmarking Distributed Stream Data Processing Systems" (ICDE 2018): a rate is sustainable if
what waits does not go on growing while it lasts.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.latency.search import search
from benchmarks.latency.stages import Load
from benchmarks.latency.stats import growth_per_second
from benchmarks.latency.trial import Trial
from streaming.accounting.load import NANOSECONDS, DueTimes

SECONDS, WARM_UP = 10.0, 2.0
_GROWTH = 0.05
"""Of the rate. What works in batches is behind by one at most, which over ten seconds looks like some percent."""
_LATE_MS = 100.0
_SAMPLE_SECONDS = 0.02


def find(running: Trial) -> list[tuple[Load, dict[str, Any]]]:
    """Return every load that was tried, with ``sustained`` and by how many events per second the backlog grew."""
    tried: list[tuple[Load, dict[str, Any]]] = []

    def keeps_up(rate: int) -> bool:
        load = Load(rate, SECONDS, WARM_UP)
        growth, late_ms = _try(running, load)
        sustained = growth <= _GROWTH * rate and late_ms <= _LATE_MS
        limit = "feeder" if late_ms > _LATE_MS else None
        tried.append((load, {"kind": "step", "sustained": sustained, "growth": round(growth, 1), "limited_by": limit}))
        return running.settle() and sustained

    list(search(keeps_up))
    return tried


def _try(running: Trial, load: Load) -> tuple[float, float]:
    """Send the load; return the backlog's growth after the warm-up and the feeder's p99 of lateness (ms)."""
    before, samples = running.outputs, []
    with running.feeding(load.events, load.rate) as feeder:
        while feeder.process.exit_code is None:
            running.require_alive()
            samples.append((time.monotonic_ns(), running.outputs - before))
            time.sleep(_SAMPLE_SECONDS)
    _, fed = running.fed[-1]
    times, outputs = (np.array(column, np.int64) for column in zip(*samples, strict=True))
    first = fed.start + round(load.warm_up * NANOSECONDS)
    last = DueTimes(fed.start, load.rate).due(load.events)
    measured = (times >= first) & (times <= last)
    due = (times[measured] - fed.start) * load.rate / NANOSECONDS
    return growth_per_second(times[measured], due - outputs[measured]), fed.lateness_ms["p99"]
