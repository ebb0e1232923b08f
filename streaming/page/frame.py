"""A plot's frame: from values to places, round ticks, grid lines and the axes' titles with their units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from streaming.page.markup import Child, Element, tag

WIDTH = 440
HEIGHT = 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 46


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``. ``shown`` writes a tick's value; ``at`` are the ticks, else round values."""

    title: str
    low: float
    high: float
    shown: Callable[[float], str]
    at: tuple[float, ...] = ()

    @property
    def ticks(self) -> Sequence[float]:
        """The values that have a tick."""
        return self.at or round_values(self.low, self.high)


@dataclass(frozen=True)
class Frame:
    """Two axes on a fixed area; :meth:`drawn` puts marks into it."""

    across: Axis
    up: Axis

    def x(self, value: float) -> float:
        """Return the place of a value across."""
        axis = self.across
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - axis.low) / (axis.high - axis.low)

    def y(self, value: float) -> float:
        """Return the place of a value upwards."""
        axis = self.up
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - axis.low) / (axis.high - axis.low)

    def drawn(self, title: str, *marks: Child) -> Element:
        """Return the plot. ``title`` is read to those who cannot see it."""
        return svg(title, HEIGHT, list(self._grid()), marks, list(self._titles()))

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Element:
        """Return a line through values; it breaks where one is not defined."""
        return tag("path", d=path((self.x(x), self.y(y)) for x, y in points), class_=f"line {class_}")

    def _grid(self) -> Iterator[Element]:
        bottom, edge = HEIGHT - _BOTTOM, _LEFT
        for value in self.up.ticks:
            y = self.y(value)
            yield tag("line", x1=edge, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
            yield tag("text", self.up.shown(value), x=edge - 7, y=y + 4, text_anchor="end")
        for value in self.across.ticks:
            x = self.x(value)
            yield tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="tick")
            yield tag("text", self.across.shown(value), x=x, y=bottom + 18, text_anchor="middle")
        yield tag("line", x1=edge, x2=WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="tick")

    def _titles(self) -> Iterator[Element]:
        middle, height = (_LEFT + WIDTH - _RIGHT) / 2, (HEIGHT - _BOTTOM + _TOP) / 2
        yield tag("text", self.across.title, x=middle, y=HEIGHT - 8, text_anchor="middle", class_="title")
        turned = f"rotate(-90 10 {height:.1f})"
        yield tag("text", self.up.title, x=10, y=height, text_anchor="middle", class_="title", transform=turned)


def svg(title: str, height: float, *marks: Child, width: float = WIDTH) -> Element:
    """Return an image as wide as the place it stands in."""
    return tag("svg", tag("title", title), marks, viewBox=f"0 0 {width:g} {height:g}", role="img")


def path(points: Iterator[tuple[float, float]]) -> str:
    """Return an SVG path through the places; it breaks at one that is not a number."""
    parts, pen = [], "M"
    for x, y in points:
        if not (isfinite(x) and isfinite(y)):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return " ".join(parts)


def round_values(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values between two ends.

    >>> round_values(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    # A little less than `rough`, as rounding may have raised it above an exact step.
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    # Three steps of 0.1 are 0.30000000000000004.
    return [round(number * step, 12) for number in range(first, last + 1)]
