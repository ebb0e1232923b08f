"""Windows side by side as a strip. Each state has its own colour and height, so it can be read without colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from schemas.drift import State
from streaming.drift.report.facts import Point, WindowFacts
from streaming.drift.report.sentences import day, listed
from streaming.page.markup import Element, tag
from streaming.words import plural

HEIGHT = 24
_HEIGHTS = {State.DRIFT: HEIGHT, State.WARNING: 14, State.STABLE: 6, State.INSUFFICIENT: 2}
_APART = 60
"""With more windows than this, neighbours in the same state have no gap between them."""
_WORDS = {
    State.STABLE: "matches the reference",
    State.WARNING: "warning",
    State.DRIFT: "drift",
    State.INSUFFICIENT: "too few rows",
}


def slots(windows: Sequence[WindowFacts]) -> tuple[int, ...]:
    """Return each window's place in the strip; where windows are missing, one place stays empty."""
    places, next_place = [], 0
    for window in windows:
        next_place += window.after_gap
        places.append(next_place)
        next_place += 1
    return tuple(places)


def strip(name: str, states: Sequence[State | None], windows: Sequence[WindowFacts]) -> Element:
    """Return the strip of one column, or of the windows as a whole."""
    width = (slots(windows)[-1] + 1) * 10
    box = {"viewBox": f"0 0 {width} {HEIGHT}", "preserveAspectRatio": "none", "role": "img", "class_": "strip"}
    return tag("svg", tag("title", f"{name}: {_states_text(states)}"), list(cells(states, windows)), **box)


def states(points: Iterable[Point | None]) -> list[State | None]:
    """Return a column's state in each window."""
    return [point.state if point else None for point in points]


def cells(states: Sequence[State | None], windows: Sequence[WindowFacts], scale: float = 10.0) -> Iterator[Element]:
    """Yield an area for each state, ``scale`` wide for each window, standing on the line ``HEIGHT`` below the top."""
    places = slots(windows)
    apart = 0.1 * scale if len(windows) <= _APART else 0.0
    for state, height in _HEIGHTS.items():
        runs = _runs(
            [slot for slot, slot_state in zip(places, states, strict=True) if slot_state is state], join=not apart
        )
        d = " ".join(
            f"M{first * scale:g} {HEIGHT - height}h{(last - first + 1) * scale - apart:g}V{HEIGHT}H{first * scale:g}z"
            for first, last in runs
        )
        if d:
            yield tag("path", d=d, class_=f"is-{state.value}")


def _runs(places: Sequence[int], *, join: bool) -> Iterator[tuple[int, int]]:
    if not join:
        yield from ((slot, slot) for slot in places)
        return
    # Neighbours without a gap differ from their index by the same number.
    for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        slots_of_run = [slot for _, slot in run]
        yield slots_of_run[0], slots_of_run[-1]


def _states_text(states: Sequence[State | None]) -> str:
    counted = Counter(state for state in states if state is not None)
    counts = [f"{_WORDS[state]} in {plural(counted[state], 'window')}" for state in _HEIGHTS if counted[state]]
    return listed(counts) if counts else "not looked at"


def days(windows: Sequence[WindowFacts]) -> Element:
    """Return the times of the first, the middle and the last window, to stand below strips."""
    shown = [windows[0], windows[len(windows) // 2], windows[-1]] if len(windows) > 2 else list(windows)
    return tag("div", [tag("span", day(window.start)) for window in shown], class_="days")


def legend() -> Element:
    """Return what heights and colours mean."""
    return tag("p", [_key(state) for state in (*_HEIGHTS,)], class_="legend")


def _key(state: State) -> Element:
    top = HEIGHT - _HEIGHTS[state]
    mark = tag("path", d=f"M0 {top}h18V{HEIGHT}H0z", class_=f"is-{state.value}")
    image = tag("svg", tag("title", state.value), mark, viewBox=f"0 0 18 {HEIGHT}", role="img")
    return tag("span", image, f" {_WORDS[state]}")
