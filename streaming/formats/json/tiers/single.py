"""One event by itself, as the first tier reads a batch of them; a column of Arrow costs more than the whole event.

It proves what :mod:`streaming.formats.json.tiers.typed` proves, by the same count of quotes. What it cannot prove to be
valid is the batch's to read, with all tiers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from streaming.formats.json.tiers.cells import BELOW_FLOAT, HALF_STEP, LARGEST, SMALLEST_NORMAL
from streaming.formats.json.tiers.documents import has_long_number
from streaming.formats.json.tiers.shape import Shape
from streaming.formats.json.tiers.times import microseconds
from streaming.formats.json.values import FieldError, iso_time

SingleEvent = Mapping[str, Any]
"""The columns of a valid event by name, ``None`` for null; a time is in microseconds since 1970."""

_DOUBLE, _BITS, _FLOAT = struct.Struct("<d"), struct.Struct("<q"), struct.Struct("<f")


class _DoubtfulError(Exception):
    """A value may not be what the reference reads."""


class SingleReader:
    """Reads events of up to ``longest`` bytes, one at a time; ``shape`` is closed."""

    def __init__(self, shape: Shape, longest: int) -> None:
        """Find out what is read of an event."""
        self._longest = longest
        self._decode = msgspec.json.Decoder(shape.struct).decode
        self._reads = [
            (position, role.column, _READS[role.kind] if role.length is None else _list)
            for position, field in enumerate(shape.fields)
            for role in field.roles
        ]

    def read(self, text: bytes) -> SingleEvent | None:
        """Return the columns of an event that is proven to be valid; ``None`` for others, and where one is a list."""
        if not 0 < len(text) <= self._longest or b'\\"' in text:
            return None
        if has_long_number(text):
            return None
        try:
            # UTF-8 is looked at as a whole, as the tiers do.
            text.decode()
            values = msgspec.structs.astuple(self._decode(text))
            # Two quotes for a name, and two for a text.
            quotes = sum(0 if kind is UnsetType else 4 if kind is str else 2 for kind in map(type, values))
            if text.count(b'"') != quotes:
                return None
            return {column: read(values[position]) for position, column, read in self._reads}
        except (ValueError, FieldError, _DoubtfulError):
            return None


def _plain(value: Any) -> Any:
    return None if value is UNSET else value


def _list(_: Any) -> Any:
    raise _DoubtfulError


def _double(value: Any) -> float | None:
    if value is None or value is UNSET:
        return None
    if math.isinf(value):
        raise _DoubtfulError
    return float(value)


def _float(value: Any) -> float | None:
    """Round once more, where that is rounding once; see :func:`streaming.formats.json.tiers.cells.floats`."""
    number = _double(value)
    if not number:
        return number
    half_way = _BITS.unpack(_DOUBLE.pack(number))[0] & BELOW_FLOAT == HALF_STEP
    if half_way or not SMALLEST_NORMAL <= abs(number) < LARGEST:
        raise _DoubtfulError
    single: float = _FLOAT.unpack(_FLOAT.pack(number))[0]
    return single


_READS: Mapping[str, Callable[[Any], Any]] = {
    "identity": str,
    "iso8601": lambda value: microseconds(iso_time(value)),
    "epoch_ms": lambda value: value * 1_000,
    "string": _plain,
    "double": _double,
    "float": _float,
    "integer": _plain,
    "long": _plain,
    "boolean": _plain,
}
