"""All runs of each system put together: the median of their own numbers, and the lowest and highest beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.latency.stats import PERCENTILES

Raw = dict[str, Any]
"""A run's result as it is kept, see ``run.Result``."""


@dataclass(frozen=True)
class Spread:
    """The median over the runs, and how far they are apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return it for the values that are there; ``None`` if none is."""
        present = [value for value in values if value is not None]
        return cls(statistics.median(present), min(present), max(present)) if present else None

    def to_json(self, digits: int = 3) -> list[float]:
        """Return lowest and highest."""
        return [round(self.low, digits), round(self.high, digits)]


@dataclass(frozen=True)
class Summary:
    """One system: its runs that count, and why the others do not."""

    name: str
    version: str
    delivery: str
    runs: Sequence[Raw]
    problems: Sequence[str]

    @property
    def key(self) -> str:
        """Its name in ``live.json``: ``penstock-live`` is ``live``."""
        return self.name.removeprefix("penstock-").replace("-", "_")

    @property
    def rates(self) -> list[int]:
        """The rates it was measured at."""
        return sorted({stage["rate"] for run in self.runs for stage in run["stages"] if stage["kind"] == "load"})

    def loads(self, rate: int) -> list[Raw]:
        """Return each run's stage at a rate."""
        return [s for run in self.runs for s in run["stages"] if s["kind"] == "load" and s["rate"] == rate]

    def latency(self, rate: int, percentile: str) -> Spread | None:
        """Return a percentile of its latency, in milliseconds, over the windows of all runs."""
        return Spread.of(window[percentile] for stage in self.loads(rate) for window in stage["windows"])

    def windows(self, rate: int) -> int:
        """Return over how many windows that is."""
        return sum(len(stage["windows"]) for stage in self.loads(rate))

    @property
    def eps(self) -> Spread | None:
        """Its throughput in events per second."""
        return Spread.of(s["eps"] for run in self.runs for s in run["stages"] if s["kind"] == "drain")

    @property
    def sustainable(self) -> int | None:
        """The highest rate that it kept up with, if that was looked for."""
        steps = [s for run in self.runs for s in run["stages"] if s["kind"] == "step"]
        return max((step["rate"] for step in steps if step["sustained"]), default=0) if steps else None

    def taken(self, rate: int, name: str) -> Spread | None:
        """Return another number of its stages at a rate: ``cores``, ``rss_bytes``, ``silence_ms``."""
        return Spread.of(stage.get(name) for stage in self.loads(rate))

    def pooled_us(self, rate: int) -> list[int]:
        """Return the latencies of all its runs in microseconds, sorted."""
        return sorted(latency for stage in self.loads(rate) for latency in stage["latencies_us"])


def summarise(raws: Iterable[Raw]) -> list[Summary]:
    """Put runs together by system, in the order in which systems first appear."""
    grouped: dict[str, list[Raw]] = {}
    for raw in raws:
        grouped.setdefault(raw["system"], []).append(raw)
    return [
        Summary(
            name=name,
            version=runs[0]["version"],
            delivery=runs[0]["delivery"],
            runs=[run for run in runs if not run["problems"]],
            problems=[f"run {run['number']}: {problem}" for run in runs for problem in run["problems"]],
        )
        for name, runs in grouped.items()
    ]


def live_numbers(summary: Summary, rate: int) -> Raw:
    """Return a system's part of ``live.json``: percentiles at ``rate``; other rates below ``at_RATE``."""
    headline = _latencies(summary, rate)
    eps = summary.eps
    more = {f"at_{other}": _latencies(summary, other) for other in summary.rates if other != rate}
    return {
        **headline,
        **more,
        "eps": round(eps.median) if eps else None,
        "sustainable_eps": summary.sustainable,
        "payload_bytes": summary.runs[0]["stages"][0]["payload_bytes"] if summary.runs else None,
        "partitions": summary.runs[0]["partitions"] if summary.runs else None,
        "interval_seconds": max((run.get("interval_seconds", 0.0) for run in summary.runs), default=0.0) or None,
        "delivery": summary.delivery,
        "version": summary.version,
        "runs": len(summary.runs),
        "invalid": list(summary.problems),
    }


def peer_numbers(summary: Summary, rate: int) -> Raw:
    """Return a system's entry of ``peers.json``."""
    eps, p50, p99 = summary.eps, summary.latency(rate, "p50"), summary.latency(rate, "p99")
    return {
        "name": summary.name,
        "version": summary.version,
        "eps": round(eps.median) if eps else None,
        "p50_ms": p50.median if p50 else None,
        "p99_ms": p99.median if p99 else None,
        "delivery": summary.delivery,
        "sustainable_eps": summary.sustainable,
        "eps_range": eps.to_json(0) if eps else None,
        "p50_range": p50.to_json() if p50 else None,
        "p99_range": p99.to_json() if p99 else None,
        "windows": summary.windows(rate),
        "runs": len(summary.runs),
        "invalid": list(summary.problems),
    }


def _latencies(summary: Summary, rate: int) -> Raw:
    latencies: Raw = {}
    for name in PERCENTILES:
        spread = summary.latency(rate, name)
        latencies[name] = spread.median if spread else None
        latencies[f"{name}_range"] = spread.to_json() if spread else None
    loads = summary.loads(rate)
    latencies["seconds"] = [stage["seconds"] for stage in loads]
    latencies["windows"] = summary.windows(rate)
    for name, digits in (("cores", 3), ("rss_bytes", 0), ("silence_ms", 1)):
        taken = summary.taken(rate, name)
        latencies[name] = round(taken.median, digits) if taken else None
    latencies["duplicates"] = sum(stage["duplicates"] for stage in loads)
    return latencies
