"""What ``penstock shadow run`` exports. Names are ``penstock_shadow_*``."""

from __future__ import annotations

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, start_http_server

from schemas.shadow_prediction import ShadowPrediction


class ShadowMetrics:
    """Counts pairs, what the shadow could not answer, and what was passed over.

    Attributes:
        pairs: pairs by version and role of the shadow, as ``8 shadow``.
        passed_over: answers of rollouts without a shadow, by reason.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.pairs: Tally[str] = Tally()
        self.passed_over: Tally[str] = Tally()
        ProcessCollector(registry=self.registry)
        labels = ("model", "version", "role")
        self._events = self._counter("events", "Events that the version has scored in the shadow", *labels)
        self._errors = self._counter("errors", "Of these, such as it rejects or throws on", *labels, "reason")
        self._skipped = self._counter("skipped", "Answers of rollouts that have no shadow", "reason")
        self._lag = Gauge(
            "penstock_shadow_lag_seconds", "Age of the latest answer when it was paired", registry=self.registry
        )

    def serve(self, host: str, port: int) -> None:
        """Answer ``/metrics``; raises ``OSError`` if the port is taken."""
        start_http_server(port, host, self.registry)

    def paired(self, pair: ShadowPrediction) -> None:
        """Note a pair that is on the topic."""
        shadow = pair.shadow
        labels = shadow.model, str(shadow.version), pair.role.value
        self.pairs[f"{shadow.version} {pair.role.value}"] += 1
        self._events.labels(*labels).inc()
        if shadow.reason is not None:
            self._errors.labels(*labels, shadow.reason).inc()

    def skipped(self, reason: str, count: int) -> None:
        """Note answers without a shadow."""
        self.passed_over[reason] += count
        self._skipped.labels(reason).inc(count)

    def lag(self, seconds: float) -> None:
        """Note how old the latest answer is."""
        self._lag.set(seconds)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"penstock_shadow_{name}", text, labels, registry=self.registry)
