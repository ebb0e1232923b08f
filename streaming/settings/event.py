"""The section ``event``: the names of the envelope's fields."""

from __future__ import annotations

from typing import Literal

from streaming.settings.base import Section


class EventSettings(Section):
    """The names of the envelope's fields in an event's JSON."""

    id: str | None = "event_id"
    """``None``: the source position is the id."""
    time: str | None = "event_time"
    """``None``: the record's timestamp is the event time."""
    time_format: Literal["iso8601", "epoch_ms"] = "iso8601"
    key: str | None = None
    """``None``: the record's key is the entity's key."""
