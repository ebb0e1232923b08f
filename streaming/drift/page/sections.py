"""The sections about one version: what moved first, the windows, the columns, and the rows that were not compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from schemas.drift import State
from streaming.drift.page.columns import badge, calm_column, moved_column, size
from streaming.drift.page.prose import prose
from streaming.drift.page.strip import days, legend, states, strip
from streaming.drift.report.facts import ColumnReport, VersionReport, WindowFacts
from streaming.drift.report.sentences import day, p_value, what_moved
from streaming.page.markup import Element, tag
from streaming.page.parts import fact, section
from streaming.words import plural, share

_OPEN = 12
"""Calm columns that are listed; more of them are folded once more."""
_MOST_GAPS = 5


def facts(report: VersionReport) -> Element:
    """Return the few numbers on top."""
    windows = report.windows
    rows = sum(window.rows for window in windows)
    invalid = sum(window.invalid for window in windows)
    late = sum(window.late for window in windows)
    judged = windows[report.judged]
    parts = (
        ("windows", f"{len(windows):,}", f"{day(windows[0].start)} to {day(windows[-1].end)}"),
        ("rows in the last one", f"{judged.rows:,}", f"of {rows:,} in all; reference {report.reference_rows:,}"),
        ("dead letters", f"{invalid:,}", f"{share(invalid / max(rows + invalid, 1))} of all events"),
        ("came too late", f"{late:,}", "counted in no window"),
    )
    return tag("dl", [fact(*each) for each in parts], class_="facts")


def sections(report: VersionReport) -> Iterator[Element | None]:
    """Yield the sections, in the order in which questions come up."""
    yield _first(report)
    yield _windows(report)
    moved = [column for column in report.columns if column.has_moved]
    if moved:
        shown = [moved_column(column, report.windows) for column in moved]
        yield section("The columns that moved", shown)
    calm = [column for column in report.columns if not column.has_moved]
    if calm:
        yield _calm(calm, report.windows, others=bool(moved))
    yield _rows(report)


def _first(report: VersionReport) -> Element | None:
    moved = [report.column(name) for name in report.moved]
    if not moved:
        return None
    lead = (
        "Columns in the order in which they began to move. The first one is often the cause of the others, and columns"
        " that move together often have one cause."
    )
    head = tag("tr", [tag("th", title) for title in ("since", "column", "", "what happened", "p-value")])
    rows = [
        tag(
            "tr",
            tag("td", prose(day(column.since))),
            tag("th", column.name),
            tag("td", badge(column.state, size(column))),
            tag("td", what_moved(column.name, column.now.movement)),
            tag("td", p_value(column.now.p_value)),
        )
        for column in moved
        if column.now
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return section("What moved first", tag("p", lead), tag("div", table, class_="wide order"))


def _windows(report: VersionReport) -> Element:
    windows = report.windows
    rows = [_strip_row("all columns", [window.state for window in windows], windows, badge(report.answer.state))]
    for column in report.columns:
        if column.has_moved:
            shown = badge(column.state, size(column))
            rows.append(_strip_row(column.name, states(column.points), windows, shown))
    lead = f"A bar for each window, time from left to right. {_left_out(report)}{_gaps(windows)}"
    table = tag("table", tag("tbody", rows), tag("tfoot", tag("tr", tag("th"), tag("td", days(windows)), tag("td"))))
    return section("The windows", tag("p", prose(lead)), legend(), tag("div", table, class_="strips"))


def _strip_row(name: str, states: Sequence[State | None], windows: Sequence[WindowFacts], now: Element) -> Element:
    return tag("tr", tag("th", name), tag("td", strip(name, states, windows)), tag("td", now))


def _left_out(report: VersionReport) -> str:
    if not report.left_out:
        return ""
    return f"{plural(report.left_out, 'older window')} left out; choose others with --from and --to. "


def _gaps(windows: Sequence[WindowFacts]) -> str:
    gaps = [
        f"from {day(before.end)} to {day(window.start)}" for before, window in pairwise(windows) if window.after_gap
    ]
    if not gaps:
        return ""
    more = f" and {len(gaps) - _MOST_GAPS} more times" if len(gaps) > _MOST_GAPS else ""
    return f"There are no windows {', '.join(gaps[:_MOST_GAPS])}{more}: no events came, or they were not counted."


def _calm(calm: Sequence[ColumnReport], windows: Sequence[WindowFacts], *, others: bool) -> Element:
    rows = [calm_column(column, windows) for column in calm]
    title = "The other columns" if others else "The columns"
    lead = tag("p", "None of these was in drift. Open one to see its distribution and its windows.")
    if len(calm) <= _OPEN:
        return section(title, lead, tag("div", rows, class_="calm"))
    more = tag("summary", tag("b", f"{len(calm) - _OPEN} more columns, which differ less"))
    folded = tag("details", more, tag("div", rows[_OPEN:], class_="calm"), class_="more")
    return section(title, lead, tag("div", rows[:_OPEN], class_="calm"), folded)


def _rows(report: VersionReport) -> Element:
    heads = ("window", "", "rows", "dead letters", "late", "closed by", "what moved")
    rows = [
        tag(
            "tr",
            tag("th", day(window.start)),
            tag("td", badge(window.state)),
            [tag("td", f"{count:,}") for count in (window.rows, window.invalid, window.late)],
            tag("td", window.closed_by),
            tag("td", ", ".join(window.moved)),
        )
        for window in reversed(report.windows)
    ]
    table = tag("table", tag("thead", tag("tr", [tag("th", head) for head in heads])), tag("tbody", rows))
    lead = (
        "Dead letters are events that could not be scored. Their share is watched as a column of its own. A dead letter"
        " that names the column at fault is counted in that column, too. Late rows came after their window was closed,"
        " so no window has them. The table lists them with the window that was closed next."
    )
    summary = tag("summary", tag("b", f"All {plural(len(report.windows), 'window')} as a table, the newest on top"))
    folded = tag("details", summary, tag("div", table, class_="wide windows"), class_="more")
    return section("Rows, dead letters and late rows", tag("p", lead), folded)
