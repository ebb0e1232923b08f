"""One field of an event: its JSON becomes the value of a column, or the reason for a rejection.

Raised reasons are codes of :class:`schemas.dead_letter.Reason`; docs/events.md states the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import numpy as np

from schemas.dead_letter import Reason
from streaming.formats.json.strict import Number
from streaming.models.signature import Column

_BOUNDS = {"integer": 2**31, "long": 2**63}
_RFC_3339 = re.compile(
    r"(?P<minute>\d{4}-\d\d-\d\d[T ]\d\d:\d\d)"
    r"(?P<second>:\d\d(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


class FieldError(Exception):
    """A field cannot be read; ``reason`` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def identity(value: Any) -> str:
    """Return text as it is, and a whole number of 64 bits, by which many producers name their events, as text."""
    if value is None:
        raise FieldError(Reason.MISSING_FIELD)
    return value if isinstance(value, str) else str(_whole(value, "long"))


def iso_time(value: Any) -> datetime:
    """Return the moment, in UTC without a zone, that RFC 3339 text names; seconds and zone may be missing."""
    if value is None:
        raise FieldError(Reason.MISSING_FIELD)
    if not isinstance(value, str):
        raise FieldError(Reason.WRONG_TYPE)
    match = _RFC_3339.fullmatch(value)
    if not match:
        raise FieldError(Reason.BAD_EVENT_TIME)
    second, micros = (match["second"] or ":00")[:3], (match["fraction"] or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{match['minute']}{second}.{micros}") - _offset(match["zone"] or "Z")
    except (ValueError, OverflowError) as problem:
        raise FieldError(Reason.BAD_EVENT_TIME) from problem


def epoch_time(value: Any) -> datetime:
    """Return the moment, in UTC without a zone, so many milliseconds after 1970."""
    if value is None:
        raise FieldError(Reason.MISSING_FIELD)
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=_whole(value, "long"))
    except OverflowError as problem:
        raise FieldError(Reason.BAD_EVENT_TIME) from problem
    return moment.replace(tzinfo=None)


@dataclass(frozen=True)
class Feature:
    """Reads the value of one column of a signature."""

    column: Column

    def __call__(self, value: Any) -> Any:
        """Return the value; ``None`` where an optional column has none.

        Raises:
            FieldError: the value is missing, of another type or shape, or not finite.
        """
        if value is not None:
            return self._list(value) if self.column.is_list else _FEATURES[self.column.type](value)
        if self.column.required:
            raise FieldError(Reason.MISSING_FIELD)
        return None

    def _list(self, value: Any) -> list[Any]:
        """Read each number; the types of all count before their number, and that before what one of them is."""
        if not isinstance(value, list):
            raise FieldError(Reason.WRONG_TYPE)
        read, reasons = [], set()
        for element in value:
            try:
                read.append(None if element is None else _FEATURES[self.column.type](element))
            except FieldError as problem:
                reasons.add(problem.reason)
        if Reason.WRONG_TYPE in reasons:
            raise FieldError(Reason.WRONG_TYPE)
        if len(value) != self.column.length or None in value:
            raise FieldError(Reason.WRONG_SHAPE)
        if reasons:
            raise FieldError(Reason.NON_FINITE)
        return read


def _whole(value: Any, kind: str) -> int:
    if not isinstance(value, Number) or not value.is_whole:
        raise FieldError(Reason.WRONG_TYPE)
    number, bound = int(value.text), _BOUNDS[kind]
    if not -bound <= number < bound:
        raise FieldError(Reason.WRONG_TYPE)
    return number


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59 or ahead > timedelta(hours=18):
        raise ValueError("no such offset")
    return ahead if zone[0] == "+" else -ahead


def _nearest(value: Any) -> float:
    if not isinstance(value, Number):
        raise FieldError(Reason.WRONG_TYPE)
    number = float(value.text)
    # A whole number knows no negative zero, to Python and to Jackson.
    return 0.0 if value.is_whole and number == 0 else number


def _single(value: Any) -> float:
    """Round what is written once, not by way of a double."""
    number = _nearest(value)
    if number == 0 or abs(number) == float("inf"):
        return _finite(number)
    with np.errstate(over="ignore", under="ignore"):
        near = np.float32(number)
        around = (np.nextafter(near, np.float32("-inf")), near, np.nextafter(near, np.float32("inf")))
    exact = Fraction(value.text)
    best = min(around, key=lambda single: (abs(_fraction(single) - exact), int(single.view(np.uint32)) & 1))
    return _finite(float(np.copysign(best, near)))


def _fraction(single: np.float32) -> Fraction:
    """Take infinity as the power of two that it begins to stand for."""
    return Fraction(float(single)) if np.isfinite(single) else Fraction(2**128) * int(np.sign(single))


def _finite(number: float) -> float:
    if abs(number) == float("inf"):
        raise FieldError(Reason.NON_FINITE)
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError(Reason.WRONG_TYPE)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError(Reason.WRONG_TYPE)
    return value


_FEATURES: dict[str, Callable[[Any], Any]] = {
    "double": lambda value: _finite(_nearest(value)),
    "float": _single,
    "integer": lambda value: _whole(value, "integer"),
    "long": lambda value: _whole(value, "long"),
    "boolean": _boolean,
    "string": _text,
}
