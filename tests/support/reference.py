"""What docs/events.md states, said a second time and one event at a time.

Written from the document, so that a mistake in ``streaming/events/decode.py`` is not repeated here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import numpy as np

from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings
from tests.support.strict_json import NotJsonError, Number, strict_json

_BOUNDS = {"integer": 2**31, "long": 2**63}
_RFC_3339 = re.compile(
    r"(?P<minute>\d{4}-\d\d-\d\d[T ]\d\d:\d\d)"
    r"(?P<second>:\d\d(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


class FieldError(Exception):
    """The reason code of a field."""


@dataclass(frozen=True)
class Judgement:
    """Every problem of an event as ``REASON`` or ``REASON:field``; if there is none, the value of every field."""

    problems: frozenset[str]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """How one model version's events are to be read."""

    signature: Signature
    envelope: EventSettings
    max_value_bytes: int

    def judge(self, value: bytes | None) -> Judgement:
        """Return what must become of an event with this value."""
        if value is None:
            return _only("TOMBSTONE")
        if len(value) > self.max_value_bytes:
            return _only("OVERSIZE")
        try:
            event = strict_json(value.decode("utf-8"))
        except UnicodeDecodeError:
            return _only("INVALID_UTF8")
        except NotJsonError:
            return _only("MALFORMED_JSON")
        if not isinstance(event, dict):
            return _only("NOT_AN_OBJECT")
        return self._fields(event)

    def _fields(self, event: dict[str, Any]) -> Judgement:
        problems: set[str] = set()
        values: dict[str, Any] = {}
        for name, read in self._readers():
            try:
                values[name] = read(event.get(name))
            except FieldError as problem:
                problems.add(f"{problem}:{name}")
        return Judgement(frozenset(problems), {} if problems else values)

    def _readers(self) -> Iterable[tuple[str, Callable[[Any], Any]]]:
        for name in (self.envelope.id, self.envelope.key):
            if name:
                yield name, _identity
        if self.envelope.time:
            yield self.envelope.time, _iso_time if self.envelope.time_format == "iso8601" else _epoch_time
        for column in self.signature.columns:
            yield column.name, _Feature(column)


def _only(reason: str) -> Judgement:
    return Judgement(frozenset({reason}))


def _identity(value: Any) -> str:
    """Text, or a whole number of 64 bits, which travels on as text."""
    if value is None:
        raise FieldError("MISSING_FIELD")
    return value if isinstance(value, str) else str(_whole(value, "long"))


def _whole(value: Any, kind: str) -> int:
    if not isinstance(value, Number) or not value.is_whole:
        raise FieldError("WRONG_TYPE")
    number, bound = int(value.text), _BOUNDS[kind]
    if not -bound <= number < bound:
        raise FieldError("WRONG_TYPE")
    return number


def _iso_time(value: Any) -> datetime:
    if value is None:
        raise FieldError("MISSING_FIELD")
    if not isinstance(value, str):
        raise FieldError("WRONG_TYPE")
    found = _RFC_3339.fullmatch(value)
    if not found:
        raise FieldError("BAD_EVENT_TIME")
    second, micros = (found["second"] or ":00")[:3], (found["fraction"] or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{found['minute']}{second}.{micros}") - _offset(found["zone"] or "Z")
    except (ValueError, OverflowError) as problem:
        raise FieldError("BAD_EVENT_TIME") from problem


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59 or ahead > timedelta(hours=18):
        raise ValueError("no such offset")
    return ahead if zone[0] == "+" else -ahead


def _epoch_time(value: Any) -> datetime:
    if value is None:
        raise FieldError("MISSING_FIELD")
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=_whole(value, "long"))
    except OverflowError as problem:
        raise FieldError("BAD_EVENT_TIME") from problem
    return moment.replace(tzinfo=None)


@dataclass(frozen=True)
class _Feature:
    column: Column

    def __call__(self, value: Any) -> Any:
        if value is not None:
            return _FEATURES[self.column.type](value)
        if self.column.required:
            raise FieldError("MISSING_FIELD")
        return None


def _nearest(value: Any) -> float:
    if not isinstance(value, Number):
        raise FieldError("WRONG_TYPE")
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
    best = np.copysign(best, near)
    return _finite(float(best))


def _fraction(single: np.float32) -> Fraction:
    """Take infinity as the power of two that it begins to stand for."""
    return Fraction(float(single)) if np.isfinite(single) else Fraction(2**128) * int(np.sign(single))


def _finite(number: float) -> float:
    if abs(number) == float("inf"):
        raise FieldError("NON_FINITE")
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError("WRONG_TYPE")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError("WRONG_TYPE")
    return value


_FEATURES: dict[str, Callable[[Any], Any]] = {
    "double": lambda value: _finite(_nearest(value)),
    "float": _single,
    "integer": lambda value: _whole(value, "integer"),
    "long": lambda value: _whole(value, "long"),
    "boolean": _boolean,
    "string": _text,
}


def bits(value: Any) -> Any:
    """Return a value so that two are equal only if they are to the bit: -0.0 is not 0.0, and 1 is not true."""
    return struct.pack(">d", value) if isinstance(value, float) else (type(value), value)
