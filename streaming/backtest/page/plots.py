"""The plots. The recorded side is dashed or hollow and the candidate solid, so they can be read without colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from math import isfinite

from streaming.backtest.shift import JOINT_BINS, Distribution, Shift
from streaming.backtest.tables import THRESHOLDS, CalibrationBin
from streaming.backtest.timeline import TimelineStretch
from streaming.clock import instant
from streaming.page.frame import Axis, Frame, path
from streaming.page.markup import Element, tag

SIDES = ("recorded", "candidate")


def distributions(shift: Shift) -> Element:
    """Return both sides' scores as outlines of their histograms."""
    events = sum(shift.recorded.counts)
    tallest = max(*shift.recorded.counts, *shift.candidate.counts) / events
    frame = Frame(_score_axis(shift, shift.what), Axis("share of events", 0.0, tallest * 1.05, percent))
    outlines = [
        outline
        for side, distribution in zip(SIDES, (shift.recorded, shift.candidate), strict=True)
        for outline in _outline(frame, shift.edges, distribution, side)
    ]
    return frame.drawn(f"How the {shift.what} is distributed on either side", outlines)


def _outline(frame: Frame, edges: Sequence[float], distribution: Distribution, side: str) -> Iterator[Element]:
    events = sum(distribution.counts)
    steps = [
        (edge, count / events)
        for ends, count in zip(pairwise(edges), distribution.counts, strict=True)
        for edge in ends
    ]
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
            # The square root keeps squares with few events visible.
            fill_opacity=f"{0.08 + 0.92 * (count / most) ** 0.5:.3f}",
        )
        for across, row in enumerate(shift.joint)
        for up, count in enumerate(row)
        if count
    ]
    diagonal = frame.line([(low, low), (high, high)], "same")
    return frame.drawn("How many events have which score on either side", cells, diagonal)


def by_threshold(curves: Sequence[Sequence[float]], measure: str) -> Element:
    """Return a share of either side at every threshold."""
    frame = Frame(Axis("threshold on the score", 0.0, 1.0, plain), Axis(measure, 0.0, 1.0, percent))
    lines = [
        frame.line(list(zip(THRESHOLDS, curve, strict=True)), side) for side, curve in zip(SIDES, curves, strict=True)
    ]
    return frame.drawn(f"{measure.capitalize()} at every threshold", lines)


def calibrations(sides: Sequence[Sequence[CalibrationBin]], positive: str) -> Element:
    """Return for tenths of the events the mean score and what came true, with intervals."""
    across = Axis(f"mean probability of “{positive}”", 0.0, 1.0, plain)
    frame = Frame(across, Axis(f"share that was “{positive}”", 0.0, 1.0, percent))
    marks = [
        mark
        for side, bins in zip(SIDES, sides, strict=True)
        for calibration in bins
        for mark in _whisker(frame, calibration, side)
    ]
    return frame.drawn("What came true of either side's probabilities", frame.line([(0, 0), (1, 1)], "same"), marks)


def over_time(stretches: Sequence[TimelineStretch], title: str) -> Element:
    """Return a metric of either side from one stretch of time to the next; there are at least two."""
    starts = [instant(stretch.start) for stretch in stretches]
    lines = [[stretch.recorded for stretch in stretches], [stretch.candidate for stretch in stretches]]
    values = [value for line in lines for value in line if isfinite(value)] or [0.0]
    margin = 0.08 * (max(values) - min(values)) or 0.5
    last = float(len(starts) - 1)
    ticks = tuple(map(float, range(0, len(starts), max(1, len(starts) // 4))))
    across = Axis(
        title="event time, start of each stretch (UTC)",
        low=0.0,
        high=last,
        shown=lambda position: _day(starts, position),
        at=ticks,
    )
    frame = Frame(across, Axis(title, min(values) - margin, max(values) + margin, plain))
    marks = [
        mark
        for side, line in zip(SIDES, lines, strict=True)
        for mark in (frame.line(list(enumerate(line)), side), *_dots(frame, line, side))
    ]
    return frame.drawn(f"{title} of either side over time", marks)


def _dots(frame: Frame, line: Sequence[float], side: str) -> Iterator[Element]:
    for position, value in enumerate(line):
        if isfinite(value):
            yield tag("circle", cx=frame.x(position), cy=frame.y(value), r=3, class_=f"dot {side}")


def _day(starts: Sequence[datetime], position: float) -> str:
    moment = starts[int(position)]
    same_time = all(start.hour == 0 for start in starts)
    return f"{moment:%m-%d}" if same_time else f"{moment:%m-%d %Hh}"


def _whisker(frame: Frame, calibration: CalibrationBin, side: str) -> Iterator[Element]:
    x = frame.x(calibration.score)
    yield tag(
        "line",
        x1=x,
        x2=x,
        y1=frame.y(calibration.share.low),
        y2=frame.y(calibration.share.high),
        class_=f"whisker {side}",
    )
    yield tag("circle", cx=x, cy=frame.y(calibration.share.value), r=4, class_=f"dot {side}")


def percent(value: float) -> str:
    """Write a tick that is a share."""
    return f"{value * 100:g}%"


def plain(value: float) -> str:
    """Write a tick as it is."""
    return f"{value:,g}"


def _score_axis(shift: Shift, title: str) -> Axis:
    return Axis(title, shift.edges[0], shift.edges[-1], plain)
