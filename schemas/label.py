"""One label, as it stands on the labels' topic: what really happened to an event, told when it is known.

The same contract for those who write labels in any language: ``contracts/label.json``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streaming.clock import instant


@dataclass(frozen=True)
class LabelRecord:
    """A label of the event with this id; without an id, of the event with the record's key and this time.

    ``label`` is text as :func:`label_text` makes it, and ``None`` where an earlier label is withdrawn. ``known_at`` is
    ``None`` where the record's own timestamp says when the label became known.
    """

    event_id: str | None
    event_time: datetime | None
    label: str | None
    known_at: datetime | None


def read_label(value: bytes | None) -> LabelRecord | None:
    """Read a record's value; ``None`` for what is no label.

    >>> read_label(b'{"event_id": "a", "label": true}').label, read_label(b"{}")
    ('true', None)
    """
    try:
        fields = json.loads(value or b"")
        if not isinstance(fields, dict):
            return None
        record = LabelRecord(
            event_id=_identity(fields.get("event_id")),
            event_time=_time(fields.get("event_time")),
            label=None if fields["label"] is None else label_text(fields["label"]),
            known_at=_time(fields.get("known_at")),
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    return record if record.event_id is not None or record.event_time is not None else None


def label_text(value: Any) -> str:
    """Return a label's text, the same whether it was written as 1 or 1.0.

    >>> label_text(1.0), label_text(True), label_text("late"), label_text(2.5)
    ('1', 'true', 'late', '2.5')

    Raises:
        TypeError: it is neither a text nor a number nor a truth value.
        ValueError: it is not a finite number.
    """
    # NumPy's truth values are no bool, and read like Python's.
    if isinstance(value, bool) or str(value) in ("True", "False"):
        return str(value).lower()
    if isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a label is a finite number, not {number}")
    return str(int(number)) if number.is_integer() else repr(number)


def _identity(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError("an event's id is a text or a whole number")


def _time(value: Any) -> datetime | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("a time is a text")
    return None if value is None else instant(value)
