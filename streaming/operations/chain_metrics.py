"""The numbers about the fallback chain, of the stream's job and of a server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.prediction import DegradedReason
from streaming.models.circuits import CircuitState
from streaming.models.ref import ModelVersion


class ChainMetrics:
    """The numbers about the fallback chain."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Add them, at zero."""
        self._degraded = Counter(
            "penstock_degraded_predictions", "Predictions of the fallback chain by reason.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self._circuit = Gauge(
            "penstock_circuit_state", "1 for the state of a version's circuit.", ["version", "state"], registry=registry
        )
        # From the start: rate() does not see an increase with which a series begins.
        for reason in DegradedReason:
            self._degraded.labels(reason.value)

    def degraded(self, reason: str, predictions: int) -> None:
        """Count predictions that the chain has made."""
        self._degraded.labels(reason).inc(predictions)

    def circuit_moved(self, version: ModelVersion, state: str) -> None:
        """Set the state of a version's circuit."""
        for other in CircuitState:
            self._circuit.labels(str(version.key), other.value).set(1 if other.value == state else 0)
