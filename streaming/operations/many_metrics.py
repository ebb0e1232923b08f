"""The numbers about many models: how many there are, and what became of their events. Labels are bounded."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from streaming.models.served import ServedModel
from streaming.models.table import ModelTable
from streaming.operations.metrics import FinishedBatch, Metrics

_MOST_NAMED = 100
"""Models that have series of their own, the first that have events; all others share the name ``other``."""
_OTHER = "other"


class ManyMetrics:
    """A :class:`streaming.models.announcer.ModelMetrics` of many models, in the registry of the job's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        """Add the metrics."""
        self._metrics = metrics
        self._models = Gauge(
            "penstock_models", "Models that take part, by state.", ["state"], registry=metrics.registry
        )
        self._events = Counter(
            "penstock_model_events",
            f"Events by model and outcome; of the first {_MOST_NAMED} models, the others are {_OTHER}.",
            ["model", "outcome"],
            registry=metrics.registry,
        )
        self._named: set[str] = set()

    def table_served(self, served: ServedModel, table: ModelTable) -> None:
        """A table serves from the next batch on."""
        self._metrics.serves(served)
        loaded = sum(row.is_loaded for row in table.rows)
        self._models.labels("loaded").set(loaded)
        self._models.labels("not_loaded").set(len(table.rows) - loaded)

    def batch_finished(self, batch: FinishedBatch) -> None:
        """Count a batch's events by their models."""
        for key, counts in batch.outcome.arms.items():
            name = self._label(key.rpartition("/")[0])
            self._events.labels(name, "prediction").inc(counts.predictions)
            self._events.labels(name, "dead_letter").inc(sum(counts.dead_letters.values()))

    def model_swapped(self, model: ServedModel, seconds: float) -> None:  # noqa: ARG002 - the table is what serves
        """Count a version that was loaded."""
        self._metrics.version_loaded(seconds)

    def model_refused(self, reason: str) -> None:
        """Count a version that was refused."""
        self._metrics.model_refused(reason)

    def model_rolled_back(self, model: ServedModel) -> None:  # noqa: ARG002 - the table is what serves
        """Count a version that was taken back."""
        self._metrics.version_taken_back()

    def registry_answered(self, *, up: bool) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self._metrics.registry_answered(up=up)

    def selector_resolved(self, *, resolved: bool) -> None:
        """See :class:`streaming.models.announcer.ModelMetrics`."""
        self._metrics.selector_resolved(resolved=resolved)

    def _label(self, name: str) -> str:
        if name not in self._named and len(self._named) < _MOST_NAMED:
            self._named.add(name)
        return name if name in self._named else _OTHER
