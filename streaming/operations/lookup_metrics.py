"""The numbers about looked-up columns."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.prediction import LookupStanding


class LookupMetrics:
    """The numbers about looked-up columns."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Add them, at zero."""
        self._events = Counter(
            "penstock_lookup_events", "Events by what became of their lookup.", ["standing"], registry=registry
        )
        self._keys = Counter(
            "penstock_lookup_cache", "Keys asked for, by whether they were in a worker's memory.", ["result"],
            registry=registry,
        )  # fmt: skip
        self._reading = Counter(
            "penstock_lookup_catch_up_seconds", "Spent by tasks until their table was as planned, or Redis answered.",
            registry=registry,
        )  # fmt: skip
        self._available = Gauge("penstock_lookup_available", "1 while the table can be read.", registry=registry)
        self._open = Gauge(
            "penstock_lookup_breaker_open",
            "1 while batches go on without the table, or wait for it.",
            registry=registry,
        )
        # From the start, at zero: rate() does not see an increase with which a series begins.
        self._by_name = {
            **{standing.value: self._events.labels(standing.value) for standing in LookupStanding},
            "cache_hits": self._keys.labels("hit"),
            "cache_misses": self._keys.labels("miss"),
            "catch_up_seconds": self._reading,
        }

    def add(self, counts: Mapping[str, float]) -> None:
        """Count the lookups of a batch or a request."""
        for name, count in counts.items():
            if count and name in self._by_name:
                self._by_name[name].inc(count)

    def seen(self, *, available: bool, is_open: bool) -> None:
        """Set whether the table can be read, and whether batches go on without it."""
        self._available.set(1 if available else 0)
        self._open.set(1 if is_open else 0)
