"""The second tier: jiter, which is as strict as the reference but for its limits, reads any object.

It takes events that nest, escape quotes, or have fields that nobody declared. It refuses a name twice and half of a
surrogate pair; the limits of docs/events.md are looked at before. It takes 1e400 for infinity, which is doubtful in a
column and right where nobody reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jiter
import msgspec
import pyarrow as pa

from streaming.formats.json.strict import MAX_DEPTH
from streaming.formats.json.tiers.documents import Documents
from streaming.formats.json.tiers.fields import Field
from streaming.formats.json.tiers.shape import Portion, Shape

Observe = Callable[[dict[str, Any]], None]
"""Told of each event that was valid JSON with the fields that are read."""


class GeneralReader:
    """Reads events of any shape."""

    def __init__(self, fields: tuple[Field, ...], schema: pa.Schema, observe: Observe) -> None:
        """Declare the fields that are read."""
        self._shape = Shape(fields, schema, is_closed=False)
        self._observe = observe

    def read(self, documents: Documents) -> Portion:
        """Return those that are proven to be valid."""
        events: list[msgspec.Struct] = []
        decoded: list[int] = []
        long = documents.may_have_long_numbers()
        for number, text in enumerate(documents.texts):
            if long[number]:
                continue
            try:
                event = jiter.from_json(text, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
                decoded_event = msgspec.convert(event, self._shape.struct)
            except ValueError:
                continue
            if _is_deep(text, event):
                continue
            events.append(decoded_event)
            decoded.append(number)
            self._observe(event)
        assembled = self._shape.assemble(events)
        return Portion(documents.rows[decoded], assembled.columns).select(~assembled.doubtful)


def _is_deep(text: bytes, event: Any) -> bool:
    """Return whether an event has more levels than the rules allow; jiter reads no more than twice as many."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    level, inner = 0, [event]
    while inner and level <= MAX_DEPTH:
        level += 1
        inner = [value for outer in inner for value in _values(outer) if isinstance(value, dict | list)]
    return level > MAX_DEPTH


def _values(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer
