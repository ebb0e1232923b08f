"""What a run has measured, window by window: the data of the table, the page and the JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schemas.quality import VersionQuality
from streaming.clock import isoformat
from streaming.quality.cohort import EarlyCohort, MatureCohort
from streaming.version import __version__

FORMAT = "penstock.quality.report.v1"


@dataclass(frozen=True)
class QualityWindowReport:
    """One window. ``why`` says why it is early and is None for a mature one; times are RFC 3339."""

    start: str
    end: str
    due: str
    why: str | None
    versions: tuple[VersionQuality, ...]

    @property
    def mature(self) -> bool:
        """True where all labels were due."""
        return self.why is None


@dataclass(frozen=True)
class EstimateError:
    """The errors of a metric's estimates in the mature windows, on the events that got a label."""

    version: int
    role: str
    name: str
    windows: int
    mean: float
    largest: float


@dataclass(frozen=True)
class QualityReport:
    """The windows in order, and how far estimates can be trusted.

    ``paired`` is false: each event was scored by one version, so versions are compared on different events.
    """

    application: str
    model: str
    slice_column: str | None
    windows: tuple[QualityWindowReport, ...]
    estimate_errors: tuple[EstimateError, ...]
    paired: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return everything the report says."""
        windows = [{"mature": window.mature, **asdict(window)} for window in self.windows]
        return {"format": FORMAT, "made_by": f"penstock {__version__}", **asdict(self), "windows": windows}


def quality_report(
    whose: tuple[str, str], slice_column: str | None, cohorts: Iterable[MatureCohort | EarlyCohort]
) -> QualityReport:
    """Return the report on windows of one application and model, oldest first."""
    windows = tuple(map(_window, cohorts))
    application, model = whose
    return QualityReport(
        application=application,
        model=model,
        slice_column=slice_column,
        windows=windows,
        estimate_errors=tuple(_errors(windows)),
    )


def _window(cohort: MatureCohort | EarlyCohort) -> QualityWindowReport:
    window = cohort.window
    return QualityWindowReport(
        start=isoformat(window.start),
        end=isoformat(window.end),
        due=isoformat(window.due),
        why=cohort.why if isinstance(cohort, EarlyCohort) else None,
        versions=cohort.versions,
    )


def _errors(windows: Sequence[QualityWindowReport]) -> Iterator[EstimateError]:
    """Yield the estimates' errors; those of early windows are left out, as their labels are not all there."""
    errors: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for window in windows:
        for version in window.versions if window.mature else ():
            for estimate in version.estimated:
                if estimate.error is not None:
                    errors[version.version, version.role, estimate.name].append(abs(estimate.error))
    for (number, role, name), sizes in errors.items():
        yield EstimateError(
            version=number, role=role, name=name, windows=len(sizes), mean=sum(sizes) / len(sizes), largest=max(sizes)
        )
