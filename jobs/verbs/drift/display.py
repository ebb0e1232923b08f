"""How ``penstock drift report`` shows a report on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jobs.terminal.text import text_of
from schemas.drift import State
from streaming.drift.report.facts import DEAD_LETTERS, ColumnReport, Report, VersionReport
from streaming.drift.report.sentences import NO_MORE, day, differs_by_chance, listed, p_value
from streaming.words import plural

_STYLES = {
    State.DRIFT: "bold red",
    State.WARNING: "bold yellow",
    State.STABLE: "green",
    State.INSUFFICIENT: "dim",
}
_MARKS = {State.DRIFT: "█", State.WARNING: "▄", State.STABLE: "▁", State.INSUFFICIENT: "·"}
_FEWEST, _MOST = 8, 40
"""Windows that are shown as marks."""
_MOST_TOLD = 8
_OTHERS = 68
"""Columns of the terminal that the other cells usually take."""


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
    console.print(_columns(newest, console.width))
    for sentence in _sentences(newest):
        console.print(sentence)
    for older in others:
        console.print(
            _text(
                f"v{older.version}, as of {day(older.windows[-1].end)}: {older.answer.words}. {older.answer.sentence}"
            )
        )


def _facts(report: VersionReport) -> Table:
    window, every = report.windows[report.judged], report.windows
    invalid, late = sum(record.invalid for record in every), sum(record.late for record in every)
    table = Table.grid(padding=(0, 2))
    for name, text in (
        ("window", f"{day(window.start)} to {day(window.end)}, the last of {len(every):,} that says something"),
        ("rows", f"{window.rows:,}; reference {report.reference_rows:,}"),
        ("dead letters", f"{window.invalid:,}; in all windows {invalid:,}"),
        ("late", f"{plural(late, 'row')} in no window"),
    ):
        table.add_row(_text(name, "dim"), _text(text))
    return table


def _columns(report: VersionReport, width: int) -> Table:
    """Return a line for each column; the marks take the rest of the width."""
    # One mark a window: a line that wraps would put marks below the wrong windows.
    marks = max(_FEWEST, min(_MOST, width - _OTHERS, len(report.windows)))
    table = Table("column", "state", "size", f"last {marks}", "since", _number("p-value"), _number("rows"), box=None)
    for index in range(len(table.columns)):
        table.columns[index].no_wrap = True
    for column in report.columns:
        table.add_row(*_cells(column, marks))
    return table


def _number(title: str) -> Column:
    return Column(title, justify="right")


def _cells(column: ColumnReport, windows: int) -> tuple[Text, ...]:
    now, style = column.now, _STYLES[column.state]
    marks = "".join(_MARKS[point.state] if point else " " for point in column.points[-windows:])
    first = _text(column.name), _text(column.state.value, style)
    if now is None:
        return *first, Text(), _text(marks, style), Text(), Text(), Text()
    size = _text(now.severity.value if column.name != DEAD_LETTERS else "")
    since = _text(day(column.since) if column.since else "")
    numbers = _text(p_value(now.p_value).replace("below ", "<")), _text(f"{now.m:,}")
    return *first, size, _text(marks, style), since, *numbers


def _sentences(report: VersionReport) -> Iterator[Text]:
    """Yield sentences about the columns that move, and about those whose size alone would mislead."""
    for name in report.moved[:_MOST_TOLD]:
        yield _text(report.column(name).sentence)
    alike = [column.name for column in report.columns if differs_by_chance(column)]
    if alike:
        yield _text(f"However large, {listed(alike)} {'differ' if len(alike) > 1 else 'differs'} {NO_MORE}.", "dim")


def _text(text: str, style: str = "") -> Text:
    return Text(text_of(text.encode("utf-8", "replace")), style)
