"""The numbers about the version that serves, of whatever serves it: the stream's job, or a server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from streaming.clock import Clock
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel

_LOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class VersionMetrics:
    """A process's metrics in a registry of their own, so that two jobs or two tests in one process do not meet.

    It is a :class:`streaming.models.announcer.ModelMetrics`.
    """

    def __init__(self, clock: Clock) -> None:
        """Make every metric, at zero; ``clock`` is for ages."""
        self.registry = CollectorRegistry()
        self._clock = clock
        self._version: ModelVersion | None = None
        # The client library counts the process in its own global registry alone.
        ProcessCollector(registry=self.registry)
        self._make_model_metrics()

    def _make_model_metrics(self) -> None:
        self._info = self._gauge("model_info", "1 for the version that serves.", "name", "version", "run_id", "digest")
        self._scorer = self._gauge("model_scorer", "1 for the kind of scorer by which the version serves.", "kind")
        self._swaps = self._counter("model_swaps", "Candidates by result.", "result")
        self._refusals = self._counter("model_refusals", "Candidates refused, by reason.", "reason")
        self._load = Histogram(
            "penstock_model_load_seconds",
            "From resolving a candidate to serving it.",
            registry=self.registry,
            buckets=_LOAD_SECONDS,
        )
        self._gauge("model_age_seconds", "Since the serving version was registered.").set_function(self._age)
        self._registry_up = self._gauge("registry_up", "1 if the registry answered the last poll.")
        self._resolved = self._gauge(
            "model_selector_resolved", "1 if the selector named a version when the registry last answered, else 0."
        )
        for result in ("promoted", "refused", "rolled_back"):
            self._swaps.labels(result)

    def model_swapped(self, model: ServedModel, seconds: float) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self.serves(model)
        self.version_loaded(seconds)

    def version_loaded(self, seconds: float) -> None:
        """Count a version that took over, ``seconds`` after it was resolved."""
        self._swaps.labels("promoted").inc()
        self._load.observe(seconds)

    def version_taken_back(self) -> None:
        """Count a version that had to give way to the one before."""
        self._swaps.labels("rolled_back").inc()

    def model_refused(self, reason: str) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self._swaps.labels("refused").inc()
        self._refusals.labels(reason).inc()

    def model_rolled_back(self, model: ServedModel) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self.serves(model)
        self.version_taken_back()

    def registry_answered(self, *, up: bool) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self._registry_up.set(1 if up else 0)

    def selector_resolved(self, *, resolved: bool) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self._resolved.set(1 if resolved else 0)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def serves(self, model: ServedModel) -> None:
        """Set the version that serves."""
        self._version = version = model.version
        # Otherwise the series of the version before would stay at 1.
        self._info.clear()
        self._info.labels(version.name, str(version.version), version.run_id, model.package.digest).set(1)
        self._scorer.clear()
        self._scorer.labels(model.choice.kind).set(1)

    def _age(self) -> float:
        # NaN and not 0, which would read as a version that was registered just now.
        if self._version is None or not self._version.created_ms:
            return float("nan")
        return self._clock().timestamp() - self._version.created_ms / 1000

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"penstock_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"penstock_{name}", text, labels, registry=self.registry)
