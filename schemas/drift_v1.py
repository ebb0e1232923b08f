"""Drift summaries of version 1, which said in words alone what moved. They stay on the topic and are still read."""

from __future__ import annotations

import re

from schemas.movement import Movement, Shares, moved_share

_NOW, _BEFORE = r"(?P<now>[0-9.]+)%", r"(?P<before>[0-9.]+)%"
_CAUSES = {
    "level": r"level (?P<way>rose|fell) by (?P<size>[0-9.]+) standard deviations",
    "shape": rf"shape: (?P<bin>.*): {_BEFORE} to {_NOW} of rows",
    "nulls": rf"null: {_NOW} of rows, {_BEFORE} in the reference",
    "non_finite": rf"not finite: {_NOW} of rows, {_BEFORE} in the reference",
    "unseen": rf"a value the model was not shown: {_NOW} of rows, {_BEFORE} in the reference",
    "beyond": rf"{_NOW} of rows are (?P<way>above|below) all of the reference's values",
    "invalid": rf"{_NOW} of rows became dead letters",
}
_UP = ("rose", "above")


def movement_of_cause(cause: str) -> Movement | None:
    """Read the words of a column; None where its window has not moved. Numbers are as rounded as in the words.

    >>> movement_of_cause("level fell by 0.31 standard deviations")
    Movement(test='level', direction=-1, size=0.31, shares=None, bin=None)
    """
    for test, pattern in _CAUSES.items():
        if match := re.fullmatch(pattern, cause, re.DOTALL):
            return _movement(test, match.groupdict())
    return None


def _movement(test: str, parts: dict[str, str]) -> Movement:
    direction = 1 if parts.get("way") in _UP else -1
    if test == "level":
        return Movement(test, direction, float(parts["size"]))
    now = float(parts["now"]) / 100
    if test == "beyond":
        return Movement(test, direction, now, Shares(0.0, now))
    before = float(parts["before"]) / 100 if "before" in parts else None
    return moved_share(test, Shares(before, now), parts.get("bin"))
