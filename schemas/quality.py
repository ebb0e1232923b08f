"""What stands on the ``quality`` topic: a record for each window, version and role, once its labels are all due.

The same contract for subscribers in any language: ``contracts/quality.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

TYPE = "penstock.quality.v1"


@dataclass(frozen=True)
class MetricFigure:
    """A metric's value with its 95 % interval; what is not defined is None, and ``reason`` says why."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class CoverageAtAge:
    """The share of predictions whose label came within so many seconds of the event; None with a reason."""

    seconds: int
    share: float | None
    reason: str | None = None


@dataclass(frozen=True)
class LabelCounts:
    """What came of the label records of a version's predictions.

    ``records`` came in time. Of these ``repeated`` say what the one before said, and ``corrected`` something else.
    ``withdrawn`` and ``unknown`` count predictions: those whose last label was withdrawn, and those whose label is no
    class of the model. ``late`` records came after the horizon and were not read further.
    """

    records: int
    repeated: int
    corrected: int
    withdrawn: int
    unknown: int
    late: int


@dataclass(frozen=True)
class EstimatedFigure:
    """A metric as the probabilities alone foretell it: an estimate, not a measurement.

    ``value`` is of the events without a label. ``error`` is the same estimate on the events with one, minus the metric
    as it was measured on them.
    """

    name: str
    value: float | None
    error: float | None


@dataclass(frozen=True)
class SliceQuality:
    """Some of a version's predictions: those of one value of the slice column; None: the events have none."""

    value: str | None
    events: int
    labelled: int
    metrics: tuple[MetricFigure, ...]


@dataclass(frozen=True)
class VersionQuality:
    """One version in one role, in one window.

    ``events`` are its predictions, ``labelled`` those with a label that is used. ``kind`` is ``two classes``,
    ``several classes`` or ``numbers``; ``positive`` the class that AUC, precision and recall are about, where there are
    two. ``estimated`` is about ``events - labelled`` events and empty but for two classes with probabilities.
    """

    version: int
    role: str
    kind: str
    positive: str | None
    events: int
    labelled: int
    coverage: tuple[CoverageAtAge, ...]
    labels: LabelCounts
    metrics: tuple[MetricFigure, ...]
    estimated: tuple[EstimatedFigure, ...]
    slices: tuple[SliceQuality, ...]

    def figure(self, name: str) -> MetricFigure | None:
        """Return the metric of this name, None if this kind of model has none."""
        return next((figure for figure in self.metrics if figure.name == name), None)


@dataclass(frozen=True)
class QualityRecord:
    """One window of one version; times are RFC 3339 in UTC with milliseconds, the end is not in it."""

    application: str
    model: str
    start: str
    end: str
    horizon_seconds: int
    slice_column: str | None
    quality: VersionQuality

    @property
    def id(self) -> str:
        """An id that is the same for the same window, version and role."""
        version, role = self.quality.version, self.quality.role
        return f"{self.application}:{self.model}:{version}:{role}:{self.start}:{self.end}"

    def to_json(self) -> str:
        """Return the record's value."""
        window = {name: value for name, value in asdict(self).items() if name != "quality"}
        # Only windows whose labels were all due are written, and the record says so by itself.
        record = {"type": TYPE, "id": self.id, "mature": True, **window, **asdict(self.quality)}
        return json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QualityRecord:
        """Read a value as JSON has it; raises ``KeyError`` or ``TypeError`` if it is not one."""
        names = ("version", "role", "kind", "positive", "events", "labelled")
        quality = VersionQuality(
            **{name: data[name] for name in names},
            coverage=tuple(CoverageAtAge(**each) for each in data["coverage"]),
            labels=LabelCounts(**data["labels"]),
            metrics=_figures(data["metrics"]),
            estimated=tuple(EstimatedFigure(**each) for each in data["estimated"]),
            slices=tuple(SliceQuality(**{**each, "metrics": _figures(each["metrics"])}) for each in data["slices"]),
        )
        window = ("application", "model", "start", "end", "horizon_seconds", "slice_column")
        return cls(**{name: data[name] for name in window}, quality=quality)


def _figures(data: list[dict[str, Any]]) -> tuple[MetricFigure, ...]:
    return tuple(MetricFigure(**each) for each in data)
