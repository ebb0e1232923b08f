"""One column on the page: what happened, its bins now and in the reference, and its course over the windows."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.drift import State
from streaming.drift.page.prose import prose
from streaming.drift.page.series import series
from streaming.drift.page.strip import states, strip
from streaming.drift.report.facts import DEAD_LETTERS, BinShares, ColumnReport, Point, WindowFacts
from streaming.drift.report.sentences import day
from streaming.page.markup import Child, Element, tag
from streaming.page.parts import figure
from streaming.words import share


def badge(state: State, severity: str = "") -> Element:
    """Return a state as a word in its colour, with its size."""
    return tag("span", state.value, f", {severity}" if severity else "", class_=f"badge is-{state.value}")


def size(column: ColumnReport) -> str:
    """Return the severity's word where it has one: the dead letters are a rate, not a distribution."""
    return column.now.severity.value if column.now and column.moves and column.name != DEAD_LETTERS else ""


def moved_column(column: ColumnReport, windows: Sequence[WindowFacts]) -> Element:
    """Return a column that has moved, open."""
    head = tag("h3", column.name, " ", badge(column.state, size(column)))
    return tag("article", head, tag("p", prose(column.sentence)), _figures(column, windows), class_="column")


def calm_column(column: ColumnReport, windows: Sequence[WindowFacts]) -> Element:
    """Return a column that has not moved, folded."""
    summary = tag(
        "summary",
        tag("b", column.name),
        strip(column.name, states(column.points), windows),
        tag("span", column.state.value),
    )
    return tag("details", summary, tag("p", prose(column.sentence)), _figures(column, windows))


def _figures(column: ColumnReport, windows: Sequence[WindowFacts]) -> Element:
    parts: list[Child] = []
    if column.bins and column.now and column.worst:
        parts.append(_distribution(column, windows, column.now, column.worst))
    if column.now and len(windows) > 1:
        parts.append(series(column, windows))
    return tag("div", parts, class_="figures")


def _distribution(column: ColumnReport, windows: Sequence[WindowFacts], now: Point, worst: Point) -> Element:
    """A table of bins; the bars repeat what its numbers say."""
    differs = worst.place != now.place
    heads = ["", "", "reference", "now", *(["farthest"] if differs else [])]
    longest = max((max(shares.reference, shares.now) for shares in column.bins), default=1.0) or 1.0
    rows = [_bin(shares, longest, differs=differs) for shares in column.bins]
    table = tag("table", tag("thead", tag("tr", [tag("th", head) for head in heads])), tag("tbody", rows))
    most = f" Farthest is the window from {day(windows[worst.place].start)}, which differs most." if differs else ""
    caption: list[Child] = [
        tag("span", "▯ reference", class_="key reference"),
        " and ",
        tag("span", "▮ now", class_="key now"),
        prose(f" as shares of the rows. Now is the window from {day(windows[now.place].start)}, {now.m:,} rows.{most}"),
    ]
    return figure("Distribution", caption, tag("div", table, class_="bins"))


def _bin(shares: BinShares, longest: float, *, differs: bool) -> Element:
    bars = [
        tag("i", class_=side if value else f"{side} none", style=f"width:{100 * value / longest:.1f}%")
        for side, value in (("reference", shares.reference), ("now", shares.now))
    ]
    numbers = [shares.reference, shares.now, *([shares.worst] if differs else [])]
    cells = [tag("td", share(value)) for value in numbers]
    return tag("tr", tag("th", shares.name), tag("td", bars, class_="bars"), cells)
