"""The numbers of one stage of a run, from its schedule and what the reader noted; and whether they count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.latency.load import Fed, Feed, Times, all_due
from benchmarks.latency.stats import (
    NEVER,
    Arrivals,
    backlog_growth,
    first_arrivals,
    longest_silence_ms,
    percentiles_ms,
    silences,
    worked_off_rate,
)
from streaming.accounting.account import balance
from streaming.accounting.load import DueTimes

WRONG = 1e-6
"""Further than this from Spark's, a prediction is another one."""
_LATE_SHARE = 0.5
_LATE_MS = 2.0
"""A feeder whose p99 of lateness is over both, this share of the system's p99 and these milliseconds, was too slow."""


@dataclass(frozen=True)
class Load:
    """Events at ``rate`` per second for ``warm_up`` seconds, then for ``seconds`` that are measured.

    What is measured is cut into ``windows``, each with percentiles of its own. ``halfway`` is called in the middle of
    it: what a swap, or a kill, does to latency.
    """

    rate: int
    seconds: float
    warm_up: float = 3.0
    windows: int = 1
    halfway: Callable[[], None] | None = None

    @property
    def warming(self) -> int:
        """How many events are not measured."""
        return round(self.rate * self.warm_up)

    @property
    def events(self) -> int:
        """How many there are in all."""
        return self.warming + round(self.rate * self.seconds)


@dataclass(frozen=True)
class Evidence:
    """A stage's feed, how that went, the outputs of its events, and Spark's prediction for each body."""

    feed: Feed
    fed: Fed
    arrivals: Arrivals
    expected: npt.NDArray[np.float64]

    def counts(self) -> dict[str, Any]:
        """Return what came of the events: counts of them, and their mean size."""
        balanced = balance(range(self.feed.events), self.arrivals.ids.tolist())
        return {
            "events": self.feed.events,
            "missing": len(balanced.missing),
            "duplicates": balanced.duplicates,
            "predictions": int(np.count_nonzero(~np.isnan(self.arrivals.predictions))),
            "wrong": self._wrong(),
            "payload_bytes": round(self.fed.payload_bytes, 1),
        }

    def _wrong(self) -> int:
        """Count the predictions that are not Spark's."""
        expected = self.expected[self.arrivals.ids % len(self.expected)]
        return int(np.count_nonzero(np.abs(self.arrivals.predictions - expected) > WRONG))


def drained(evidence: Evidence) -> dict[str, Any]:
    """Return the numbers of events that came at once: outputs per second until the last."""
    arrived = first_arrivals(evidence.arrivals, evidence.feed.events)
    rate = worked_off_rate(evidence.fed.start, arrived[arrived != NEVER])
    return {"kind": "drain", **evidence.counts(), "eps": _finite(rate, 1)}


def followed(evidence: Evidence, load: Load) -> dict[str, Any]:
    """Return a load's numbers; latency is from when an event was due to when its first output was handed over."""
    due = all_due(DueTimes(evidence.fed.start, load.rate), load.events)[load.warming :]
    arrived = first_arrivals(evidence.arrivals, load.events)[load.warming :]
    there = arrived != NEVER
    latencies = (arrived - due)[there]
    return {
        "kind": "load",
        "rate": load.rate,
        "seconds": load.seconds,
        "warm_up": load.warm_up,
        **evidence.counts(),
        "measured": len(latencies),
        "latency_ms": _percentiles(latencies),
        "windows": [_percentiles(window) for window in np.array_split(latencies, load.windows)],
        "lateness_ms": evidence.fed.lateness_ms,
        "silence_ms": _finite(longest_silence_ms(arrived[there]), 3),
        "silences": silences(arrived[there]),
        "backlog_growth": _finite(backlog_growth(due, arrived[there]), 1),
        "latencies_us": (latencies // 1000).tolist(),
    }


def problems(stage: dict[str, Any], *, scores: bool) -> list[str]:
    """Return why a stage's numbers do not count."""
    complaints = []
    if stage["missing"]:
        complaints.append(f"{stage['missing']} of {stage['events']} events have no output")
    if scores and stage["predictions"] < stage["events"] - stage["missing"]:
        complaints.append(f"only {stage['predictions']} outputs have a prediction")
    if scores and stage["wrong"]:
        complaints.append(f"{stage['wrong']} predictions are not Spark's")
    if stage["kind"] == "load" and stage["measured"] and _feeder_was_late(stage):
        complaints.append(f"the feeder was late, p99 {stage['lateness_ms']['p99']:.1f} ms")
    return complaints


def _percentiles(latencies: Times) -> dict[str, float | None]:
    return {name: _finite(value, 3) for name, value in percentiles_ms(latencies).items()}


def _feeder_was_late(stage: dict[str, Any]) -> bool:
    late: float = stage["lateness_ms"]["p99"]
    limit: float = max(_LATE_MS, _LATE_SHARE * stage["latency_ms"]["p99"])
    return late > limit


def _finite(value: float, digits: int) -> float | None:
    """JSON has no NaN."""
    return round(value, digits) if np.isfinite(value) else None
