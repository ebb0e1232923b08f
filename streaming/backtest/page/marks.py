"""Small plots without a frame: an interval and zero, and two scores on a line."""

from __future__ import annotations

from streaming.backtest.bootstrap import Measured
from streaming.page.frame import WIDTH, round_values, svg
from streaming.page.markup import Element, tag
from streaming.words import number, signed


def headline(measured: Measured) -> Element:
    """Return the deciding metric's difference with its interval and a line at zero."""
    ends = (0.0, measured.difference.low, measured.difference.high)
    margin = 0.25 * (max(ends) - min(ends)) or 1.0
    low, high = min(ends) - margin, max(ends) + margin

    def x(value: float) -> float:
        return 16 + (WIDTH - 32) * (value - low) / (high - low)

    sides = ("worse", "better") if measured.metric.higher_is_better else ("better", "worse")
    marks = [
        tag("rect", x=16.0, y=26.0, width=x(0) - 16, height=40.0, class_=f"ground {sides[0]}"),
        tag("rect", x=x(0), y=26.0, width=WIDTH - 16 - x(0), height=40.0, class_=f"ground {sides[1]}"),
        tag("text", f"← {sides[0]}", x=x(0) - 8, y=18.0, text_anchor="end"),
        tag("text", f"{sides[1]} →", x=x(0) + 8, y=18.0),
        tag("line", x1=x(0), x2=x(0), y1=6.0, y2=70.0, class_="zero"),
        tag("line", x1=x(measured.difference.low), x2=x(measured.difference.high), y1=46.0, y2=46.0, class_="interval"),
        tag("circle", cx=x(measured.difference.value), cy=46.0, r=7, class_="dot candidate"),
    ]
    for value in round_values(low, high):
        marks.append(tag("text", signed_tick(value), x=x(value), y=86.0, text_anchor="middle"))
        marks.append(tag("line", x1=x(value), x2=x(value), y1=66.0, y2=72.0, class_="tick"))
    title = f"{measured.metric.title}, candidate minus recorded"
    marks.append(tag("text", title, x=WIDTH / 2, y=106.0, text_anchor="middle", class_="title"))
    return svg(f"{title}: {signed(measured.difference.value)}", 112, marks)


def gain(measured: Measured) -> Element:
    """Return a metric's difference as a small mark; to the right of the middle the candidate is better."""
    width, height, middle = 120.0, 18.0, 60.0
    better = measured.gain
    scale = 54 / (max(abs(better.low), abs(better.high)) or 1.0)
    ends = [middle + scale * value for value in (better.low, better.value, better.high)]
    outcome = "better" if better.low > 0 else "worse" if better.high < 0 else "open"
    marks = [
        tag("line", x1=middle, x2=middle, y1=0, y2=height, class_="zero"),
        tag("line", x1=ends[0], x2=ends[2], y1=9, y2=9, class_=f"interval {outcome}"),
        tag("circle", cx=ends[1], cy=9, r=4, class_=f"end {outcome}"),
    ]
    return svg(outcome, height, marks, width=width)


def two_scores(recorded: float, candidate: float) -> Element:
    """Return both sides' probabilities of one event on a line from 0 to 1."""
    ends = [8 + 104 * value for value in (recorded, candidate)]
    marks = [
        tag("line", x1=8, x2=112, y1=9, y2=9, class_="grid"),
        tag("line", x1=ends[0], x2=ends[1], y1=9, y2=9, class_="interval"),
        tag("circle", cx=ends[0], cy=9, r=4, class_="dot recorded"),
        tag("circle", cx=ends[1], cy=9, r=4.5, class_="dot candidate"),
    ]
    return svg(f"{number(recorded)} and {number(candidate)}", 18, marks, width=120)


def signed_tick(value: float) -> str:
    """Write a tick of a difference."""
    return "0" if value == 0 else f"{value:+,g}"
