"""The numbers of a server, beside those about the version that serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from prometheus_client import Histogram

from streaming.clock import Clock
from streaming.models.ref import ModelVersion
from streaming.operations.chain_metrics import ChainMetrics
from streaming.operations.lookup_metrics import LookupMetrics
from streaming.operations.version_metrics import VersionMetrics
from streaming.serving.looked_up import LookedUp

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_AGES = (1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0, 2_592_000.0)


class ServerMetrics(VersionMetrics):
    """A server's metrics."""

    def __init__(self, clock: Clock) -> None:
        """Make every metric, at zero."""
        super().__init__(clock)
        self._requests = self._counter("http_requests", "Requests by route and status.", "route", "status")
        self._seconds = Histogram(
            "penstock_http_request_duration_seconds",
            "From a request's headers to the end of its answer, by route.",
            ["route"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._in_flight = self._gauge("http_requests_in_flight", "Requests that are being answered.")
        self._events = self._counter("served_events", "Events of requests by outcome.", "outcome")
        self._rejected = self._counter("rejected_events", "Rejected events of requests by reason.", "reason")
        for outcome in ("prediction", "rejected"):
            self._events.labels(outcome)
        self._logged = self._counter("logged_answers", "Answers that were to be written to a topic.", "outcome")
        for outcome in ("written", "dropped", "failed"):
            self._logged.labels(outcome)
        # To look a series up by its labels takes longer than to count.
        self._requests_of = cache(self._requests.labels)
        self._seconds_of = cache(self._seconds.labels)
        self._predictions = self._events.labels("prediction")

    def with_chain(self) -> None:
        """Add the numbers about the fallback chain, which a server without one does not have."""
        self._chain = ChainMetrics(self.registry)

    def degraded(self, reason: str, predictions: int) -> None:
        """Count predictions that the fallback chain has made."""
        self._chain.degraded(reason, predictions)

    def circuit_moved(self, version: ModelVersion, state: str, reason: str) -> None:  # noqa: ARG002 - no label
        """See :class:`streaming.models.circuits.CircuitObserver`."""
        self._chain.circuit_moved(version, state)

    def with_lookups(self) -> None:
        """Add the numbers about looked-up columns, which a server without a lookup does not have."""
        self._lookups = LookupMetrics(self.registry)
        self._ages = Histogram(
            "penstock_lookup_age_seconds",
            "The age of the records by which events were given columns.",
            registry=self.registry,
            buckets=_AGES,
        )
        self._read_at = self._gauge("lookup_read_timestamp_seconds", "When the table was last read to its end.")

    def looked_up(self, events: Iterable[LookedUp | None], keys: Mapping[str, float]) -> None:
        """Count what events were given, and the keys that were asked for."""
        counts = dict(keys)
        for event in events:
            if event is None:
                continue
            counts[event.standing] = counts.get(event.standing, 0) + 1
            if event.age is not None:
                self._ages.observe(event.age / 1_000)
        self._lookups.add(counts)

    def lookup_seen(self, problem: str, *, is_open: bool) -> None:
        """See :class:`streaming.lookup.followed.FollowerObserver`."""
        self._lookups.seen(available=not problem, is_open=is_open)

    def table_read(self, seconds: float) -> None:
        """See :class:`streaming.lookup.followed.FollowerObserver`."""
        self._lookups.add({"catch_up_seconds": seconds})
        self._read_at.set(self._clock().timestamp())

    def request_began(self) -> None:
        """Count a request in."""
        self._in_flight.inc()

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; ``route`` is the pattern of its path, of which there are few."""
        self._in_flight.dec()
        self._requests_of(route, str(status)).inc()
        self._seconds_of(route).observe(seconds)

    def events_scored(self, predictions: int) -> None:
        """Count the events that got a prediction."""
        self._predictions.inc(predictions)

    def answers_logged(self, outcome: str, answers: int) -> None:
        """See :class:`streaming.serving.answer_log.AnswerCounts`."""
        self._logged.labels(outcome).inc(answers)

    def logged(self) -> dict[str, int]:
        """Return how many answers were written, dropped and failed."""
        samples = next(iter(self._logged.collect())).samples
        return {s.labels["outcome"]: int(s.value) for s in samples if s.name.endswith("_total")}

    def event_rejected(self, reason: str) -> None:
        """Count an event that got none."""
        self._events.labels("rejected").inc()
        self._rejected.labels(reason).inc()
