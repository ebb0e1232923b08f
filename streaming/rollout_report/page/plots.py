"""The difference of the losses from day to day, with its bounds, the margins, and where the rollout's steps began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from streaming.page.frame import Axis, Frame
from streaming.page.markup import Element, tag
from streaming.page.parts import figure
from streaming.rollout_report.differences import ArmsComparison, DayDifference
from streaming.rollout_report.report import RolloutReport, StepTaken
from streaming.rollout_report.words import way
from streaming.words import share, signed

_DATES = 4
_ROOM = 0.08


def difference_plot(report: RolloutReport, comparison: ArmsComparison) -> Element | None:
    """Return the plot of one way to compare, ``None`` where it has no day."""
    if not comparison.days:
        return None
    frame = Frame(_across(comparison.days), _up(report, comparison.days))
    marks = [*_band(frame, comparison.days), *_levels(frame, report), *_steps(frame, report, comparison.days)]
    dots = [
        tag("circle", cx=frame.x(float(slot)), cy=frame.y(day.own), r=3.0, class_="dot day")
        for slot, day in enumerate(comparison.days)
        if frame.up.low <= day.own <= frame.up.high
    ]
    mean = frame.line([(float(slot), day.mean) for slot, day in enumerate(comparison.days)], "mean")
    pairing = way(comparison)
    caption = (
        f"{report.loss.capitalize()} of the candidate minus the champion's, {pairing}."
        " Above zero the candidate is worse."
    )
    drawn = frame.drawn(f"Difference of the {report.loss} {pairing}, day by day", marks, dots, mean)
    return figure(f"{pairing[0].upper()}{pairing[1:]}", caption, drawn)


def steps_begun(report: RolloutReport) -> list[StepTaken]:
    """Return the transitions that gave the arms other keys, and about which events are known."""
    steps = report.steps[:1] + tuple(
        after for before, after in pairwise(report.steps) if after.weight_epoch != before.weight_epoch
    )
    return [step for step in steps if step.first_event is not None]


def _across(days: Sequence[DayDifference]) -> Axis:
    # No more than four dates have room beside each other.
    chosen = tuple(float(slot) for slot in range(0, len(days), -(-len(days) // _DATES)))
    return Axis(
        title="day of the events (UTC)",
        low=-0.5,
        high=len(days) - 0.5,
        shown=lambda slot: days[int(slot)].day[5:],
        at=chosen,
    )


def _up(report: RolloutReport, days: Sequence[DayDifference]) -> Axis:
    bounds = [bound for day in days for bound in (day.low, day.high) if bound is not None]
    values = [0.0, report.tolerated, report.margin or 0.0, *bounds, *(day.mean for day in days)]
    # The first bounds may be ten times as wide as the last, so single days count only where there are no bounds.
    values += [] if bounds else [day.own for day in days]
    low, high = min(values), max(values)
    room = (high - low) * _ROOM or 1.0
    return Axis(title=f"difference of {report.loss}", low=low - room, high=high + room, shown=_tick)


def _tick(value: float) -> str:
    text = signed(value).rstrip("0").rstrip(".")
    return "0" if text in ("+0", "-0", "+", "-") else text


def _band(frame: Frame, days: Sequence[DayDifference]) -> Iterator[Element]:
    bounded = [(frame.x(float(slot)), day) for slot, day in enumerate(days) if day.low is not None]
    corners = [f"{x:.1f},{frame.y(day.high or 0.0):.1f}" for x, day in bounded]
    corners += [f"{x:.1f},{frame.y(day.low or 0.0):.1f}" for x, day in reversed(bounded)]
    if corners:
        yield tag("polygon", points=" ".join(corners), class_="band")


def _levels(frame: Frame, report: RolloutReport) -> Iterator[Element]:
    levels = [(report.margin, "margin harm"), (report.tolerated, "margin no-worse"), (0.0, "zero")]
    for value, class_ in levels:
        if value is not None and (class_ == "zero" or value != 0.0):
            y, across = frame.y(value), frame.across
            yield tag("line", x1=frame.x(across.low), x2=frame.x(across.high), y1=y, y2=y, class_=class_)


def _steps(frame: Frame, report: RolloutReport, days: Sequence[DayDifference]) -> Iterator[Element]:
    """Yield a line where a step began, and above it the share that the candidate got."""
    slots: dict[int, StepTaken] = {}
    for step in steps_begun(report):
        slot = sum(day.day < (step.first_event or "")[:10] for day in days)
        # The plot has room for the last one of several steps within a day.
        slots[min(slot, len(days) - 1)] = step
    for slot, step in slots.items():
        x, up = frame.x(float(slot)) - 4, frame.up
        yield tag("line", x1=x, x2=x, y1=frame.y(up.low), y2=frame.y(up.high), class_="step")
        yield tag("text", share(step.share), x=x + 3, y=frame.y(up.high) + 10, class_="step-share")
