"""The plots. The recorded side is dashed or hollow and the candidate solid, so that nobody needs the colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from streaming.backtest.intervals import Measured
from streaming.backtest.page.frame import WIDTH, Axis, Frame, path, round_values, svg
from streaming.backtest.page.markup import Element, tag
from streaming.backtest.shift import JOINT_BINS, Distribution, Shift
from streaming.backtest.tables import THRESHOLDS, CalibrationBin
from streaming.backtest.words import number, signed

SIDES = ("recorded", "candidate")


def distributions(shift: Shift) -> Element:
    """Return both sides' scores as outlines of their histograms."""
    events = sum(shift.recorded.counts)
    tallest = max(*shift.recorded.counts, *shift.candidate.counts) / events
    frame = Frame(_score_axis(shift, shift.what), Axis("share of events", 0.0, tallest * 1.05, percent))
    outlines = [
        outline
        for side, found in zip(SIDES, (shift.recorded, shift.candidate), strict=True)
        for outline in _outline(frame, shift.edges, found, side)
    ]
    return frame.drawn(f"How the {shift.what} is distributed on either side", outlines)


def _outline(frame: Frame, edges: Sequence[float], found: Distribution, side: str) -> Iterator[Element]:
    events = sum(found.counts)
    steps = [(edge, count / events) for ends, count in zip(pairwise(edges), found.counts, strict=True) for edge in ends]
    closed = [(edges[0], 0.0), *steps, (edges[-1], 0.0)]
    yield tag("path", d=path((frame.x(x), frame.y(y)) for x, y in closed), class_=f"area {side}")
    yield frame.line(steps, side)


def scores_against_each_other(shift: Shift) -> Element:
    """Return a map of the events: the recorded score across, the candidate's upwards."""
    low, high = shift.edges[0], shift.edges[-1]
    frame = Frame(_score_axis(shift, "recorded score"), _score_axis(shift, "candidate's score"))
    most = max(max(row) for row in shift.joint)
    step = (high - low) / JOINT_BINS
    cells = [
        tag(
            "rect",
            x=frame.x(low + across * step),
            y=frame.y(low + (up + 1) * step),
            width=frame.x(low + step) - frame.x(low),
            height=frame.y(low) - frame.y(low + step),
            class_="cell",
            fill_opacity=f"{0.08 + 0.92 * (count / most) ** 0.5:.3f}",
        )
        for across, row in enumerate(shift.joint)
        for up, count in enumerate(row)
        if count
    ]
    diagonal = frame.line([(low, low), (high, high)], "same")
    return frame.drawn("How many events have which score on either side", cells, diagonal)


def by_threshold(curves: Sequence[Sequence[float]], what: str) -> Element:
    """Return a share of either side at every threshold."""
    frame = Frame(Axis("threshold on the score", 0.0, 1.0, plain), Axis(what, 0.0, 1.0, percent))
    lines = [
        frame.line(list(zip(THRESHOLDS, found, strict=True)), side) for side, found in zip(SIDES, curves, strict=True)
    ]
    return frame.drawn(f"{what.capitalize()} at every threshold", lines)


def calibrations(sides: Sequence[Sequence[CalibrationBin]], positive: str) -> Element:
    """Return for tenths of the events the mean score and what came true, with intervals."""
    across = Axis(f"mean probability of “{positive}”", 0.0, 1.0, plain)
    frame = Frame(across, Axis(f"share that was “{positive}”", 0.0, 1.0, percent))
    marks = [
        mark for side, found in zip(SIDES, sides, strict=True) for one in found for mark in _whisker(frame, one, side)
    ]
    return frame.drawn("What came true of either side's probabilities", frame.line([(0, 0), (1, 1)], "same"), marks)


def _whisker(frame: Frame, one: CalibrationBin, side: str) -> Iterator[Element]:
    x = frame.x(one.score)
    yield tag("line", x1=x, x2=x, y1=frame.y(one.share.low), y2=frame.y(one.share.high), class_=f"whisker {side}")
    yield tag("circle", cx=x, cy=frame.y(one.share.value), r=4, class_=f"dot {side}")


def headline(found: Measured) -> Element:
    """Return the deciding metric's difference with its interval, beside zero."""
    ends = (0.0, found.difference.low, found.difference.high)
    margin = 0.25 * (max(ends) - min(ends)) or 1.0
    low, high = min(ends) - margin, max(ends) + margin

    def x(value: float) -> float:
        return 16 + (WIDTH - 32) * (value - low) / (high - low)

    sides = ("worse", "better") if found.metric.higher_is_better else ("better", "worse")
    marks = [
        tag("rect", x=16.0, y=26.0, width=x(0) - 16, height=40.0, class_=f"ground {sides[0]}"),
        tag("rect", x=x(0), y=26.0, width=WIDTH - 16 - x(0), height=40.0, class_=f"ground {sides[1]}"),
        tag("text", f"← {sides[0]}", x=x(0) - 8, y=18.0, text_anchor="end"),
        tag("text", f"{sides[1]} →", x=x(0) + 8, y=18.0),
        tag("line", x1=x(0), x2=x(0), y1=6.0, y2=70.0, class_="zero"),
        tag("line", x1=x(found.difference.low), x2=x(found.difference.high), y1=46.0, y2=46.0, class_="interval"),
        tag("circle", cx=x(found.difference.value), cy=46.0, r=7, class_="dot candidate"),
    ]
    for value in round_values(low, high):
        marks.append(tag("text", signed_tick(value), x=x(value), y=86.0, text_anchor="middle"))
        marks.append(tag("line", x1=x(value), x2=x(value), y1=66.0, y2=72.0, class_="tick"))
    title = f"difference in {found.metric.title}, candidate minus recorded"
    marks.append(tag("text", title, x=WIDTH / 2, y=106.0, text_anchor="middle", class_="title"))
    return svg(f"{title}: {signed(found.difference.value)}", 112, marks)


def gain(found: Measured) -> Element:
    """Return a metric's difference as a small mark; to the right of the middle the candidate is better."""
    width, height, middle = 120.0, 18.0, 60.0
    better = found.gain
    scale = 54 / (max(abs(better.low), abs(better.high)) or 1.0)
    ends = [middle + scale * value for value in (better.low, better.value, better.high)]
    told = "better" if better.low > 0 else "worse" if better.high < 0 else "open"
    marks = [
        tag("line", x1=middle, x2=middle, y1=0, y2=height, class_="zero"),
        tag("line", x1=ends[0], x2=ends[2], y1=9, y2=9, class_=f"interval {told}"),
        tag("circle", cx=ends[1], cy=9, r=4, class_=f"end {told}"),
    ]
    return svg(told, height, marks, width=width)


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


def percent(value: float) -> str:
    """Write a tick that is a share."""
    return f"{value * 100:g}%"


def plain(value: float) -> str:
    """Write a tick as it is."""
    return f"{value:,g}"


def signed_tick(value: float) -> str:
    """Write a tick of a difference."""
    return "0" if value == 0 else f"{value:+,g}"


def _score_axis(shift: Shift, title: str) -> Axis:
    return Axis(title, shift.edges[0], shift.edges[-1], plain)
