"""How ``penstock drift report`` shows a report on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jobs.dlq_display import text_of
from streaming.drift.page.sections import p_value
from streaming.drift.report.facts import DEAD_LETTERS, ColumnReport, Report, VersionReport
from streaming.drift.report.sentences import calm_words, day
from streaming.drift.states import State
from streaming.words import plural

_STYLES = {
    State.DRIFT: "bold red",
    State.WARNING: "bold yellow",
    State.STABLE: "green",
    State.INSUFFICIENT: "dim",
}
_MARKS = {State.DRIFT: "█", State.WARNING: "▄", State.STABLE: "▁", State.INSUFFICIENT: "·"}
_LAST = 20
"""Windows that are shown as marks."""


def show_report(console: Console, report: Report) -> None:
    """Print the newest version's answer and columns, and a line for each other version."""
    if not report.versions:
        console.print("No window has been closed yet, or none is left of those that were chosen.")
        console.print("`penstock drift run` closes one when its time and drift.lateness_seconds are over.")
        return
    newest, *others = report.versions
    console.rule(_text(f"drift of {report.model} v{newest.version}"))
    answer = newest.answer
    console.print(_text(answer.words, _STYLES[answer.state]))
    console.print(_text(answer.sentence))
    for objection in answer.but:
        console.print(_text(f"  but: {objection}"))
    console.print(_facts(newest))
    console.print(_columns(newest))
    for one in others:
        console.print(
            _text(f"v{one.version}, as of {day(one.windows[-1].end)}: {one.answer.words}. {one.answer.sentence}")
        )


def _facts(report: VersionReport) -> Table:
    window, every = report.windows[report.judged], report.windows
    invalid, late = sum(one.invalid for one in every), sum(one.late for one in every)
    table = Table.grid(padding=(0, 2))
    for name, words in (
        ("window", f"{day(window.start)} to {day(window.end)}, the last of {len(every):,} that says something"),
        ("rows", f"{window.rows:,}; reference {report.reference_rows:,}"),
        ("dead letters", f"{window.invalid:,}; in all windows {invalid:,}"),
        ("late", f"{plural(late, 'row')} in no window"),
    ):
        table.add_row(_text(name, "dim"), _text(words))
    return table


def _columns(report: VersionReport) -> Table:
    table = Table(
        "column",
        "state",
        "size",
        Column(f"last {min(_LAST, len(report.windows))} windows", no_wrap=True),
        "since",
        Column("p-value", justify="right"),
        Column("rows", justify="right"),
        "what happened",
        box=None,
    )
    for column in report.columns:
        table.add_row(*_cells(column))
    return table


def _cells(column: ColumnReport) -> tuple[Text, ...]:
    now, style = column.now, _STYLES[column.state]
    marks = "".join(_MARKS[point.state] if point else " " for point in column.points[-_LAST:])
    name, state = _text(column.name), _text(column.state.value, style)
    if now is None:
        return name, state, Text(), _text(marks, style), Text(), Text(), Text(), _text("too few rows to say")
    size = now.severity.value if column.name != DEAD_LETTERS else ""
    numbers = (_text(p_value(now.p_value)), _text(f"{now.m:,}"))
    since = _text(day(column.since) if column.since else "")
    words = now.cause if column.moves else calm_words(column)
    return name, state, _text(size), _text(marks, style), since, *numbers, _text(words)


def _text(words: str, style: str = "") -> Text:
    return Text(text_of(words.encode("utf-8", "replace")), style)
