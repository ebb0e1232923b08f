"""The whole page: the last mature window first, then the way there, then the labels behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schemas.quality import VersionQuality
from streaming.page.markup import Element, tag
from streaming.page.parts import fact, section
from streaming.page.shell import document, write_html
from streaming.quality.page.plots import COLOURS, metric_plot, series_names
from streaming.quality.page.tables import coverage_section, estimates_section, slices_section, windows_section
from streaming.quality.report import QualityReport, QualityWindowReport
from streaming.quality.words import (
    NOT_DUE,
    day_text,
    figure_text,
    interval_text,
    labelled_text,
    metrics_of,
    version_text,
)
from streaming.version import __version__
from streaming.words import plural, share

_STYLE = Path(__file__).with_name("style.css")
_FIRST = {"two classes": "auc", "several classes": "accuracy", "numbers": "mae"}
"""The metric that stands on top."""


def write_quality_page(report: QualityReport, path: Path) -> None:
    """Write the page; its folder is made if need be. Raises ``OSError``."""
    write_html(quality_page(report), path)


def quality_page(report: QualityReport) -> str:
    """Return the page's HTML."""
    title = f"How good are the predictions of {report.model}?"
    body = list(_sections(report)) if report.windows else [tag("p", "There is no window with predictions.")]
    return document(
        title,
        _STYLE,
        tag("header", tag("h1", title), tag("p", _about(report))),
        tag("main", body),
        tag("footer", f"Made by Penstock {__version__}. All numbers are in the JSON of the same command."),
    )


def _about(report: QualityReport) -> str:
    if not report.windows:
        return f"Application {report.application}."
    first, last = report.windows[0], report.windows[-1]
    return (
        f"Application {report.application}, {plural(len(report.windows), 'window')} of event time from"
        f" {day_text(first.start)} to {day_text(last.end)} UTC, by the labels that came."
    )


def _sections(report: QualityReport) -> Iterator[Element | None]:
    mature = [window for window in report.windows if window.mature]
    yield _answer(mature)
    yield _facts(report, mature)
    kinds = list(dict.fromkeys(version.kind for window in report.windows for version in window.versions))
    for kind in kinds:
        yield _plots(report, kind)
    yield coverage_section(report.windows)
    if mature:
        yield from slices_section(report, mature[-1])
    for kind in kinds:
        yield windows_section(report, kind)
    yield estimates_section(report)
    yield _reading(report)


def _answer(mature: list[QualityWindowReport]) -> Element:
    if not mature:
        text = "Labels are still due in every window here. What is below may change, and must not decide anything."
        return tag("section", tag("div", tag("strong", "No window is mature yet"), tag("p", text)), class_="verdict")
    last = mature[-1]
    lines = [tag("p", _sentence(version)) for version in last.versions]
    title = f"In the last mature window, {day_text(last.start)}"
    return tag("section", tag("div", tag("strong", title), lines), class_="verdict mature")


def _sentence(version: VersionQuality) -> list[Element | str]:
    names = dict.fromkeys((_FIRST[version.kind], "accuracy", "log_loss", "rmse", "r2"))
    titles = {metric.name: metric.title for metric in metrics_of(version.kind)}
    parts = []
    for name in names:
        figure = version.figure(name)
        if figure is not None:
            interval = interval_text(figure)
            parts.append(f"{titles[name]} {figure_text(figure)}{f' ({interval})' if interval else ''}")
    return [
        tag("b", version_text(version)),
        f": {', '.join(parts)}; {labelled_text(version)} predictions have a label.",
    ]


def _facts(report: QualityReport, mature: list[QualityWindowReport]) -> Element:
    versions = [version for window in mature for version in window.versions]
    events, labelled = sum(version.events for version in versions), sum(version.labelled for version in versions)
    corrected = sum(version.labels.corrected for version in versions)
    parts = (
        ("mature windows", f"{len(mature):,}", f"of {len(report.windows):,}; the others are early"),
        ("predictions in them", f"{events:,}", plural(len(series_names(report.windows)), "version")),
        ("with a label", share(labelled / events) if events else NOT_DUE, f"{labelled:,} predictions"),
        ("corrected labels", f"{corrected:,}", "the last one counts"),
    )
    return tag("dl", [fact(*each) for each in parts], class_="facts")


def _plots(report: QualityReport, kind: str) -> Element:
    names = series_names(report.windows)
    keys = [tag("span", f"{name} ", class_=f"key version-{number % COLOURS}") for number, name in enumerate(names)]
    lead = tag("p", keys, "A hollow mark is an early window, and a bar is a 95% interval of that window's events.")
    plots = [metric_plot(metric, report.windows) for metric in metrics_of(kind)]
    return section("Over the windows", lead, tag("div", plots, class_="figures"))


def _reading(report: QualityReport) -> Element:
    several = len(series_names(report.windows)) > 1
    paired = (
        "Unpaired: each event was scored by one version, so the versions had different events, and a difference between"
        " them may be one of the events. A backtest scores the same events with both."
    )
    mature = (
        "A window is mature when labels have been waited for as long as the horizon says. Labels that come early differ"
        " from the rest, so an early window is no first draft of the mature one, and it is never published."
    )
    interval = (
        "An interval is about the events of its window. Events of a day are alike, so the next day may lie outside."
    )
    calibration = (
        "Calibration error: probabilities are cut into ten bins of equal width; the distances between a bin's mean"
        " probability and the share that came true are averaged, weighted by events."
    )
    lines = mature, interval, calibration
    return section("How to read it", [tag("p", line) for line in (*lines, *([paired] if several else []))])
