"""How ``penstock quality run`` shows what it has measured on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jobs.terminal.text import text_of
from schemas.quality import MetricFigure, VersionQuality
from streaming.quality.report import QualityReport, QualityWindowReport
from streaming.quality.words import (
    NOT_DUE,
    age_text,
    coverage_text,
    day_text,
    figure_text,
    labelled_text,
    metrics_of,
    version_text,
)
from streaming.words import NOT_DEFINED, plural

_SHOWN = ("accuracy", "auc", "log_loss", "macro_f1", "mae", "rmse", "r2", "bias")
"""The metrics that have room on a terminal; the page and the JSON have all."""


def show_quality(report: QualityReport, console: Console | None = None) -> None:
    """Print a table for each kind of model, the coverage of the last window, and what to mind."""
    console = console or Console()
    if not report.windows:
        console.print(
            "There are no predictions in that time that were written within quality.lateness_seconds of their events'"
            " times. --from and --to choose another time; recorded events may need a longer lateness."
        )
        return
    console.rule(_text(f"quality of {report.model}"))
    rows = [(window, version) for window in report.windows for version in window.versions]
    for kind, of_kind in groupby(sorted(rows, key=lambda row: row[1].kind), key=lambda row: row[1].kind):
        console.print(_table(kind, list(of_kind)))
    for version in report.windows[-1].versions:
        ages = ", ".join(f"{age_text(each.seconds)} {coverage_text(each)}" for each in version.coverage)
        console.print(_text(f"Labels of the last window by age, {version_text(version)}: {ages}", "dim"))
    for sentence in _lost_labels([version for _, version in rows]):
        console.print(_text(sentence, "yellow"))
    early = [window for window in report.windows if not window.mature]
    if early:
        console.print(
            _text(
                f"Early ({early[-1].why}): labels that come early differ from the rest. Nothing may be decided.",
                "yellow",
            )
        )
    if len({version.version for _, version in rows}) > 1:
        console.print(_text("Unpaired: each event was scored by one version, so versions had different events.", "dim"))


def _table(kind: str, rows: list[tuple[QualityWindowReport, VersionQuality]]) -> Table:
    metrics = [metric for metric in metrics_of(kind) if metric.name in _SHOWN]
    numbers = [Column(metric.title, justify="right") for metric in metrics]
    interval = Column("95%", justify="right")
    columns: tuple[Column | str, ...] = (
        "window",
        "version",
        Column("labelled", justify="right"),
        *numbers,
        interval,
        "state",
    )
    table = Table(*columns, box=None, collapse_padding=True)
    # Where there is no room, texts are broken between words. Numbers are not, and nothing is cut off.
    for column, least in zip(table.columns, (len("2013-06-12"), len("(candidate)"), len("labelled")), strict=False):
        column.min_width = least
    for column in table.columns[3:]:
        column.no_wrap = True
    for window, version in rows:
        figures = [version.figure(metric.name) for metric in metrics]
        cells = [day_text(window.start), version_text(version), labelled_text(version), *map(_figure, figures)]
        # Two digits of the first metric's interval: a terminal has no room for more.
        span = "" if figures[0] is None or figures[0].low is None else f"{figures[0].low:.2f}-{figures[0].high:.2f}"
        state = "mature" if window.mature else "early"
        table.add_row(*(_text(cell, "" if window.mature else "dim") for cell in [*cells, span, state]))
    return table


def _figure(figure: MetricFigure | None) -> str:
    text = figure_text(figure)
    return NOT_DUE if text == NOT_DEFINED else text


def _lost_labels(versions: Sequence[VersionQuality]) -> Iterator[str]:
    """Yield why labels that came do not count; else a table without figures would be a riddle."""
    late = sum(version.labels.late for version in versions)
    unknown = sum(version.labels.unknown for version in versions)
    if late:
        yield f"Not counted, as it came after the horizon (quality.horizon_seconds): {plural(late, 'label')}."
    if unknown:
        yield f"Not counted, as it is no class of the model or no number: {plural(unknown, 'label')}."


def _text(text: str, style: str = "") -> Text:
    return Text(text_of(text.encode("utf-8", "replace")), style)
