"""A column's effect from window to window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from schemas.drift import State
from streaming.drift.page.strip import HEIGHT as STRIP
from streaming.drift.page.strip import cells, slots, states
from streaming.drift.report.facts import DEAD_LETTERS, ColumnReport, Point, WindowFacts
from streaming.drift.states import LARGE, MODERATE
from streaming.page.frame import Axis, Frame
from streaming.page.markup import Element, tag
from streaming.page.parts import figure

_MOST = 4.0
"""What is further away than this, two deviations or so, is far enough: it stands at the top."""
_TICKS = (0.0, 0.02, MODERATE, LARGE, 0.5, 1.0, 2.0, _MOST)
_FEW = 60
"""Up to this many windows, each is shown as a dot of its own."""


def series(column: ColumnReport, windows: Sequence[WindowFacts]) -> Element:
    """Return the column's effect from window to window, with its states on top."""
    rate, places = column.name == DEAD_LETTERS, slots(windows)
    frame = Frame(
        _across(windows, places), _up(column, "share above the bound" if rate else "effect (stability index)")
    )
    line = [(float(slot), _root(point)) for slot, point in zip(_every(places), _spread(column, places), strict=True)]
    bounds = [] if rate else list(_bounds(frame))
    marks = [*bounds, frame.line(line, "now"), *_dots(frame, column, places), _on_top(frame, column, windows)]
    measure = "The share above drift.max_invalid_share" if rate else "The distance from the reference, without chance"
    plot = frame.drawn(f"{column.name}: effect in each window", marks)
    return figure("Over the windows", f"{measure}. The states are on top.", plot)


def _across(windows: Sequence[WindowFacts], places: Sequence[int]) -> Axis:
    dates = {float(slot): window.start for slot, window in zip(places, windows, strict=True)}
    # No more than four dates have room beside each other.
    chosen = tuple(dates)[:: max(1, -(-len(dates) // 4))]
    whole = all(start[11:16] == "00:00" for start in dates.values())
    # Half a window more on both sides: the strip on top has each window around its place.
    return Axis(
        title="start of the window (UTC)",
        low=-0.5,
        high=places[-1] + 0.5,
        shown=lambda slot: _short(dates[slot], whole=whole),
        at=chosen,
    )


def _up(column: ColumnReport, title: str) -> Axis:
    judged = [point.effect for point in column.points if point and point.state is not State.INSUFFICIENT]
    largest = max(LARGE, *judged)
    top = sqrt(min(largest, _MOST)) * 1.1
    ticks = tuple(_apart([sqrt(tick) for tick in _TICKS if sqrt(tick) <= top], top))
    return Axis(title=title, low=0.0, high=top, shown=lambda root: _tick(root, largest), at=ticks)


def _tick(root: float, largest: float) -> str:
    value = f"{root * root:.2g}"
    return f"≥ {value}" if largest > _MOST and root * root > _MOST * 0.99 else value


def _apart(ticks: Sequence[float], top: float) -> Iterator[float]:
    """Yield the ticks that have room for their numbers."""
    last = -top
    for tick in ticks:
        if tick - last > top / 13:
            yield tick
            last = tick


def _every(places: Sequence[int]) -> range:
    return range(places[-1] + 1)


def _spread(column: ColumnReport, places: Sequence[int]) -> list[Point | None]:
    """Return the points at their places in the strip, None where windows are missing."""
    by_slot = dict(zip(places, column.points, strict=True))
    return [by_slot.get(slot) for slot in _every(places)]


def _root(point: Point | None) -> float:
    """Small effects decide and large ones happen, so the axis is one of square roots: that of a shift."""
    judged = point is not None and point.state is not State.INSUFFICIENT
    return sqrt(min(point.effect, _MOST)) if judged and point else float("nan")


def _bounds(frame: Frame) -> Iterator[Element]:
    start, right = frame.x(frame.across.low), frame.x(frame.across.high)
    for bound, word, beside in ((MODERATE, "moderate", 11), (LARGE, "large", -3)):
        y = frame.y(sqrt(bound))
        yield tag("line", x1=start, x2=right, y1=y, y2=y, class_="bound")
        yield tag("text", word, x=right, y=y + beside, text_anchor="end", class_="bound")


def _dots(frame: Frame, column: ColumnReport, places: Sequence[int]) -> Iterator[Element]:
    if len(places) > _FEW:
        return
    for slot, point in zip(places, column.points, strict=True):
        if point is not None and point.state is not State.INSUFFICIENT:
            yield tag("circle", cx=frame.x(slot), cy=frame.y(_root(point)), r=3, class_=f"dot is-{point.state.value}")


def _on_top(frame: Frame, column: ColumnReport, windows: Sequence[WindowFacts]) -> Element:
    """Return the column's strip above the plot, each window around its place on the axis."""
    step = frame.x(1.0) - frame.x(0.0)
    marks = list(cells(states(column.points), windows, 1.0))
    turn = f"translate({frame.x(0.0) - step / 2:.1f} -10) scale({step:.4f} {14 / STRIP:.3f})"
    return tag("g", marks, transform=turn)


def _short(start: str, *, whole: bool) -> str:
    return start[5:10] if whole else f"{start[5:10]} {start[11:13]}h"
