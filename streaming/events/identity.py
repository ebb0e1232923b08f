"""The id of an event as its bytes have it, without decoding the rest; the stream's own decoders say the same."""

from __future__ import annotations

import msgspec


def event_id_of(value: bytes | None, field: str | None, partition: int, offset: int) -> str | None:
    """Return an event's id; ``None`` where its value has none, or cannot be read.

    Args:
        value: the record's.
        field: under which the id stands (``event.id``); ``None`` where events are named by their position.
        partition: the record's.
        offset: the record's.

    >>> event_id_of(b'{"id": "a"}', "id", 0, 7), event_id_of(b"", None, 0, 7), event_id_of(b"[]", "id", 0, 7)
    ('a', '0-7', None)
    """
    if field is None:
        return f"{partition}-{offset}"
    try:
        event = msgspec.json.decode(value or b"")
    # What is nested too deeply is no event to any version, and must not end whoever reads the topic.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    event_id = event.get(field) if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else None
