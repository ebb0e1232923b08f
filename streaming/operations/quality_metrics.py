"""What ``penstock quality run --follow`` exports. Names are ``penstock_quality_*``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, start_http_server

from schemas.quality import VersionQuality


class QualityMetrics:
    """Keeps each version's metrics of the last mature window."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ("version", "role")
        self._windows = Counter("penstock_quality_windows", "Mature windows", labels, registry=self.registry)
        self._metric = self._gauge("metric", "A metric of the last mature window", *labels, "metric")
        self._events = self._gauge("events", "Predictions in the last mature window", *labels)
        self._labelled = self._gauge("labelled", "Predictions with a label in the last mature window", *labels)
        self._end = self._gauge("window_end_seconds", "When the last mature window ended, seconds since 1970", *labels)

    def serve(self, host: str, port: int) -> None:
        """Answer ``/metrics``; raises ``OSError`` if the port is taken."""
        start_http_server(port, host, self.registry)

    def closed(self, versions: tuple[VersionQuality, ...], end: float) -> None:
        """Note a mature window that ended ``end`` seconds after 1970 began."""
        for quality in versions:
            labels = str(quality.version), quality.role
            self._windows.labels(*labels).inc()
            self._events.labels(*labels).set(quality.events)
            self._labelled.labels(*labels).set(quality.labelled)
            self._end.labels(*labels).set(end)
            for figure in quality.metrics:
                # A metric that is not defined now must not keep the value of a window before.
                self._metric.labels(*labels, figure.name).set(float("nan") if figure.value is None else figure.value)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"penstock_quality_{name}", text, labels, registry=self.registry)
