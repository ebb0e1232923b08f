"""The page's tables: the windows, the coverage by age, the slices, and the estimates without labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from schemas.quality import VersionQuality
from streaming.page.markup import Child, Element, tag
from streaming.page.parts import section
from streaming.quality.report import QualityReport, QualityWindowReport
from streaming.quality.words import (
    age_text,
    coverage_text,
    day_text,
    figure_text,
    interval_text,
    labelled_text,
    metrics_of,
    state_text,
    version_text,
)
from streaming.words import number

_MOST_WINDOWS = 60
"""Windows that the table has, the newest; the JSON has all."""


def windows_section(report: QualityReport, kind: str) -> Element:
    """Return every metric of every window of one kind of model, the newest first."""
    titles = ["window", "version", "labelled", *(metric.title for metric in metrics_of(kind)), "state"]
    rows = []
    for window in report.windows[: -_MOST_WINDOWS - 1 : -1]:
        for version in window.versions:
            if version.kind == kind:
                cells = [tag("td", version_text(version)), tag("td", labelled_text(version)), *_figures(version)]
                state = tag("td", state_text(window))
                row = tag(
                    "tr", tag("th", day_text(window.start)), cells, state, class_="" if window.mature else "early"
                )
                rows.append(row)
    more = f" The newest {_MOST_WINDOWS} are shown." if len(report.windows) > _MOST_WINDOWS else ""
    lead = f"A metric's 95% interval, where it has one, is below it.{more}"
    return section("Every window", tag("p", lead), _table(titles, rows, "texts"))


def coverage_section(windows: Sequence[QualityWindowReport]) -> Element:
    """Return which share of the predictions had a label at each age, in the newest windows."""
    newest = [(window, version) for window in windows[:-8:-1] for version in window.versions]
    ages = [age_text(each.seconds) for each in newest[0][1].coverage]
    rows = [
        tag(
            "tr",
            tag("th", day_text(window.start)),
            tag("td", version_text(version)),
            [tag("td", coverage_text(each)) for each in version.coverage],
            tag("td", _label_counts(version)),
        )
        for window, version in newest
    ]
    lead = (
        "The share of predictions whose label had come so long after the event. A dash: labels of that age are not due,"
        " or are not waited for. A share that falls from window to window means labels that are missing."
    )
    return section(
        "Labels by age", tag("p", lead), _table(["window", "version", *ages, "label records"], rows, "texts")
    )


def slices_section(report: QualityReport, window: QualityWindowReport) -> Iterator[Element]:
    """Yield the slices of one window, a section for each version."""
    for version in window.versions:
        if not version.slices:
            continue
        titles = [report.slice_column or "", "labelled", *(metric.title for metric in metrics_of(version.kind))]
        rows = [
            tag(
                "tr",
                tag("th", "the rest" if each.value is None else each.value),
                tag("td", f"{each.labelled:,} of {each.events:,}"),
                [tag("td", figure_text(figure), _below(interval_text(figure))) for figure in each.metrics],
            )
            for each in version.slices
        ]
        title = f"By {report.slice_column}, {version_text(version)} in the window of {day_text(window.start)}"
        yield section(title, _table(titles, rows, ""))


def estimates_section(report: QualityReport) -> Element | None:
    """Return what the probabilities foretell of events without a label in the last window, and past errors."""
    errors = {(error.version, error.role, error.name): error for error in report.estimate_errors}
    rows = []
    for version in report.windows[-1].versions:
        for estimate in version.estimated:
            error = errors.get((version.version, version.role, estimate.name))
            past = "no mature window" if error is None else f"{number(error.mean)}, at most {number(error.largest)}"
            value = "no such events" if estimate.value is None else number(estimate.value)
            rows.append(
                tag("tr", tag("th", version_text(version)), tag("td", estimate.name), tag("td", value), tag("td", past))
            )
    if not rows:
        return None
    lead = (
        "These are estimates and no measurements. They take each probability at its word, so they are as wrong as the"
        " probabilities are. The last column says by how much they were wrong in the mature windows here."
    )
    titles = ["version", "metric", "estimate, events without a label", "mean error in the past"]
    return section("Without labels", tag("p", lead), _table(titles, rows, "texts"))


def _figures(version: VersionQuality) -> Iterator[Element]:
    for figure in version.metrics:
        yield tag("td", figure_text(figure), _below(figure.reason or interval_text(figure)))


def _below(text: str) -> Element | None:
    return tag("small", text) if text else None


def _label_counts(version: VersionQuality) -> str:
    counts = version.labels
    names = ("records", "repeated", "corrected", "withdrawn", "unknown", "late")
    return ", ".join(f"{getattr(counts, name):,} {name}" for name in names if getattr(counts, name)) or "none"


def _table(titles: Iterable[str], rows: Child, class_: str) -> Element:
    head = tag("thead", tag("tr", [tag("th", title) for title in titles]))
    return tag("div", tag("table", head, tag("tbody", rows)), class_=f"wide {class_}")
