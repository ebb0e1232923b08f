"""The benchmark's plots, for the page and as files: latency by percentile, medians with ranges, latency by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from xml.etree import ElementTree

import streaming.page
from benchmarks.latency.summary import Spread
from streaming.page.frame import Axis, Frame, svg
from streaming.page.markup import Child, Element, tag

STYLE = Path(__file__).with_name("style.css")
_COMMON = Path(streaming.page.__file__).with_name("style.css")
COLOURS = 8
"""Colours in ``style.css``; a second round is dashed."""
_TAIL = 3.0
"""The percentile axis ends at 99.9 %: so many nines are left of every hundredfold."""
_LABEL, _RIGHT, _ROW, _WIDE = 112, 62, 24, 440


@dataclass(frozen=True)
class Series:
    """One system in a plot; ``number`` chooses its colour."""

    name: str
    number: int
    latencies_us: Sequence[int]

    @property
    def class_(self) -> str:
        """Its style."""
        return class_of(self.number)


@dataclass(frozen=True)
class Bar:
    """A system's median and range, and how to write the median."""

    name: str
    number: int
    spread: Spread
    shown: str


def class_of(number: int) -> str:
    """Return the style of the system with this number."""
    return f"s{number % COLOURS}" + (" dashed" if number >= COLOURS else "")


def by_percentile(title: str, series: Sequence[Series]) -> Element:
    """Return latency (log) against the share of events that had no more of it (so that the tail has room)."""
    low = min(drawn.latencies_us[0] for drawn in series)
    high = max(drawn.latencies_us[-1] for drawn in series)
    across = log_axis("latency, ms", max(low, 10) / 1000, high / 1000)
    nines = {0.0: "0", log10(2): "50 %", 1.0: "90 %", 2.0: "99 %", 3.0: "99.9 %"}
    up = Axis(
        title="events that took no longer", low=0.0, high=_TAIL, shown=lambda value: nines[value], at=tuple(nines)
    )
    frame = Frame(across, up)
    lines = [frame.line(list(_tail_points(drawn.latencies_us)), drawn.class_) for drawn in series]
    return tag("div", frame.drawn(title, lines), legend([(drawn.name, drawn.number) for drawn in series]))


def _tail_points(ordered: Sequence[int]) -> Iterator[tuple[float, float]]:
    """Yield log latency and the number of nines, in steps that are even on the axis."""
    steps = 150
    for step in range(steps + 1):
        nines = _TAIL * step / steps
        at = ceil(len(ordered) * (1 - 10**-nines)) - 1
        yield log10(max(ordered[max(0, at)], 10) / 1000), nines


def ranges(title: str, unit: str, bars: Sequence[Bar]) -> Element:
    """Return a row for each system: its median as a dot on a log axis, its range as a line."""
    axis = log_axis(unit, min(bar.spread.low for bar in bars), max(bar.spread.high for bar in bars))
    height = _ROW * len(bars) + 44

    def x(value: float) -> float:
        share = (log10(value) - axis.low) / (axis.high - axis.low)
        return _LABEL + share * (_WIDE - _LABEL - _RIGHT)

    return svg(
        title, height, list(_scale(axis, height)), [_row(bar, at, x) for at, bar in enumerate(bars)], width=_WIDE
    )


def _scale(axis: Axis, height: float) -> Iterator[Element]:
    for tick in axis.ticks:
        at = _LABEL + (tick - axis.low) / (axis.high - axis.low) * (_WIDE - _LABEL - _RIGHT)
        yield tag("line", x1=at, x2=at, y1=4, y2=height - 38, class_="grid")
        yield tag("text", axis.shown(tick), x=at, y=height - 22, text_anchor="middle")
    yield tag("text", axis.title, x=(_LABEL + _WIDE - _RIGHT) / 2, y=height - 4, text_anchor="middle", class_="title")


def _row(bar: Bar, at: int, x: Callable[[float], float]) -> list[Element]:
    y, class_ = 4 + _ROW * (at + 0.5), class_of(bar.number)
    return [
        tag("text", bar.name, x=_LABEL - 10, y=y + 4, text_anchor="end", class_="title"),
        tag("line", x1=x(bar.spread.low), x2=x(bar.spread.high), y1=y, y2=y, class_=f"line {class_}"),
        tag("circle", cx=x(bar.spread.median), cy=y, r=5, class_=f"dot {class_}"),
        tag("text", bar.shown, x=_WIDE, y=y + 4, text_anchor="end", class_="title"),
    ]


def over_time(title: str, latencies_us: Sequence[int], rate: int, slice_seconds: float = 0.25) -> Element:
    """Return a run's latency by when the events were due: the median and the most of each slice."""
    per_slice = max(1, round(rate * slice_seconds))
    slices = [sorted(latencies_us[at : at + per_slice]) for at in range(0, len(latencies_us), per_slice)]
    ends = len(latencies_us) / rate
    up = log_axis("latency, ms", max(10, slices_low(slices)) / 1000, max(part[-1] for part in slices) / 1000)
    frame = Frame(Axis("seconds", 0.0, ends, lambda value: f"{value:g}"), up)
    times = [(number + 0.5) * slice_seconds for number in range(len(slices))]
    most = [(time, log10(max(10, part[-1]) / 1000)) for time, part in zip(times, slices, strict=True)]
    middle = [(time, log10(max(10, part[len(part) // 2]) / 1000)) for time, part in zip(times, slices, strict=True)]
    lines = [frame.line(most, class_of(1)), frame.line(middle, class_of(0))]
    return tag("div", frame.drawn(title, lines), legend([("median", 0), ("most", 1)]))


def slices_low(slices: Sequence[Sequence[int]]) -> int:
    """Return the lowest median."""
    return min(part[len(part) // 2] for part in slices)


def log_axis(title: str, low: float, high: float) -> Axis:
    """Return an axis over whole powers of ten; its values are logarithms.

    >>> log_axis("ms", 0.6, 310.0).ticks
    (-1.0, 0.0, 1.0, 2.0, 3.0)
    """
    first, last = floor(log10(low)), max(ceil(log10(high)), floor(log10(low)) + 1)
    at = tuple(float(power) for power in range(first, last + 1))
    return Axis(title=title, low=at[0], high=at[-1], shown=lambda value: f"{10**value:,.10g}", at=at)


def legend(names: Sequence[tuple[str, int]]) -> Child:
    """Return which colour is whose."""
    keys = [
        tag("li", svg("", 10, tag("line", x1=0, x2=28, y1=5, y2=5, class_=f"line {class_of(number)}"), width=28), name)
        for name, number in names
    ]
    return tag("ul", keys, class_="legend")


def save(figure: Element, path: Path) -> None:
    """Write the figure's first image as a file of its own, with the styles it needs."""
    image = next(figure.iter("svg"))
    alone = tag("svg", tag("style", _COMMON.read_text() + STYLE.read_text()), xmlns="http://www.w3.org/2000/svg")
    alone.attrib.update(image.attrib)
    alone.extend(image)
    path.write_text(ElementTree.tostring(alone, encoding="unicode"))
