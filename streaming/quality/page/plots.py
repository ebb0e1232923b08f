"""A metric from window to window, a line for each version, with intervals where the metric has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.quality import MetricFigure
from streaming.backtest.metrics import Metric
from streaming.page.frame import Axis, Frame
from streaming.page.markup import Element, tag
from streaming.page.parts import figure
from streaming.quality.report import QualityWindowReport
from streaming.quality.words import day_text, version_text
from streaming.words import number

COLOURS = 4
"""Versions that have a colour of their own; further ones take them again."""
_DATES = 4


@dataclass(frozen=True)
class MetricPoint:
    """A metric of a version in the window at ``slot``."""

    slot: int
    early: bool
    figure: MetricFigure


def series_names(windows: Sequence[QualityWindowReport]) -> list[str]:
    """Return the versions in their roles, in the order in which they appear."""
    return list(dict.fromkeys(version_text(version) for window in windows for version in window.versions))


def metric_plot(metric: Metric, windows: Sequence[QualityWindowReport]) -> Element | None:
    """Return the plot, ``None`` where the metric has no value in any window."""
    lines = {name: list(_points(metric.name, name, windows)) for name in series_names(windows)}
    shown = [bound for points in lines.values() for point in points for bound in _bounds(point.figure)]
    if not shown:
        return None
    frame = Frame(_across(windows), _up(metric.title, shown))
    marks = [mark for number, points in enumerate(lines.values()) for mark in _marks(frame, points, number % COLOURS)]
    meaning = metric.meaning.format(positive=_positive(windows))
    return figure(
        metric.title, f"{meaning[0].upper()}{meaning[1:]}.", frame.drawn(f"{metric.title} in each window", marks)
    )


def _positive(windows: Sequence[QualityWindowReport]) -> str:
    names = (version.positive for window in reversed(windows) for version in window.versions)
    return next((name for name in names if name), "")


def _points(metric: str, name: str, windows: Sequence[QualityWindowReport]) -> Iterator[MetricPoint]:
    for slot, window in enumerate(windows):
        for version in window.versions:
            metric_figure = version.figure(metric)
            if version_text(version) == name and metric_figure is not None and metric_figure.value is not None:
                yield MetricPoint(slot, not window.mature, metric_figure)


def _bounds(figure_: MetricFigure) -> list[float]:
    return [bound for bound in (figure_.low, figure_.value, figure_.high) if bound is not None]


def _across(windows: Sequence[QualityWindowReport]) -> Axis:
    # No more than four dates have room beside each other.
    chosen = tuple(float(slot) for slot in range(0, len(windows), -(-len(windows) // _DATES)))
    return Axis(
        title="start of the window (UTC)",
        low=-0.5,
        high=len(windows) - 0.5,
        shown=lambda slot: day_text(windows[int(slot)].start)[5:],
        at=chosen,
    )


def _up(title: str, shown: Sequence[float]) -> Axis:
    low, high = min(shown), max(shown)
    # Equal values still need an axis that has a length.
    room = (high - low) * 0.08 or max(abs(high), 1.0) * 0.05
    return Axis(title=title, low=low - room, high=high + room, shown=_tick)


def _tick(value: float) -> str:
    return number(value).rstrip("0").rstrip(".") if "." in number(value) else number(value)


def _marks(frame: Frame, points: Sequence[MetricPoint], colour: int) -> Iterator[Element]:
    corners = [(float(point.slot), float(point.figure.value or 0.0)) for point in points]
    for point, (slot, _) in zip(points, corners, strict=True):
        if point.figure.low is not None and point.figure.high is not None:
            x = frame.x(slot)
            ends = {"y1": frame.y(point.figure.low), "y2": frame.y(point.figure.high)}
            yield tag("line", x1=x, x2=x, **ends, class_=f"whisker version-{colour}")
    yield frame.line(corners, f"version-{colour}")
    for point, (slot, value) in zip(points, corners, strict=True):
        class_ = f"dot version-{colour}{' early' if point.early else ''}"
        yield tag("circle", cx=frame.x(slot), cy=frame.y(value), r=3.5, class_=class_)
