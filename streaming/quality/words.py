"""A window's figures as people read them, the same on the terminal and on the page."""

from __future__ import annotations

from schemas.quality import CoverageAtAge, MetricFigure, VersionQuality
from streaming.backtest.answers import AnswerKind
from streaming.backtest.metrics import Metric
from streaming.quality.figures import METRICS
from streaming.quality.report import QualityWindowReport
from streaming.words import NOT_DEFINED, number, share

NOT_DUE = "-"
"""Stands where labels of an age are not due, or not waited for."""


def metrics_of(kind: str) -> tuple[Metric, ...]:
    """Return the metrics of a kind of model, in the order in which they are shown."""
    return METRICS[AnswerKind(kind)]


def figure_text(figure: MetricFigure | None) -> str:
    """Return a metric's value.

    >>> figure_text(MetricFigure("auc", 0.75)), figure_text(MetricFigure("auc", None, reason="one class"))
    ('0.7500', 'not defined')
    """
    return NOT_DEFINED if figure is None or figure.value is None else number(figure.value)


def interval_text(figure: MetricFigure | None) -> str:
    """Return a metric's 95 % interval, empty if it has none.

    >>> interval_text(MetricFigure("accuracy", 0.5, 0.25, 0.75))
    '0.2500 to 0.7500'
    """
    if figure is None or figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low)} to {number(figure.high)}"


def day_text(time: str) -> str:
    """Return a time without what says nothing.

    >>> day_text("2013-06-12T00:00:00.000Z"), day_text("2013-06-12T05:30:00.000Z")
    ('2013-06-12', '2013-06-12 05:30')
    """
    return time[:10] if time[11:16] == "00:00" else time[:16].replace("T", " ")


def age_text(seconds: int) -> str:
    """Return an age.

    >>> age_text(3_600), age_text(259_200)
    ('1 h', '3 d')
    """
    return f"{seconds // 86_400} d" if seconds % 86_400 == 0 else f"{seconds // 3_600} h"


def coverage_text(coverage: CoverageAtAge) -> str:
    """Return the share of labels at an age."""
    return NOT_DUE if coverage.share is None else share(coverage.share)


def version_text(version: VersionQuality) -> str:
    """Return what names a version in its role."""
    return f"v{version.version}" if version.role == "champion" else f"v{version.version} ({version.role})"


def labelled_text(version: VersionQuality) -> str:
    """Return how many predictions have a label."""
    return f"{version.labelled:,} of {version.events:,}"


def state_text(window: QualityWindowReport) -> str:
    """Return whether a window may decide."""
    return "mature" if window.mature else f"early: {window.why}"
