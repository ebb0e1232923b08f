"""What a record of the table, or a value of the store, says of its key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from typing import Any, NamedTuple

from streaming.formats.json.strict import NotJsonError, strict_json
from streaming.formats.json.values import Feature, FieldError, epoch_time, iso_time
from streaming.models.signature import Column
from streaming.settings import LookupSettings

_UNREADABLE = (UnicodeDecodeError, NotJsonError, FieldError)


class Entry(NamedTuple):
    """The newest record of a key.

    ``timestamp`` is the record's, in milliseconds; ``None`` where a store's value does not say it, which then has no
    values. ``values`` are those of the looked-up columns in the order of the settings; ``None`` where the record is no
    JSON object, or has a column of another type.
    """

    timestamp: int | None
    values: tuple[Any, ...] | None


class EntryReader:
    """Reads records by the rules of events (docs/events.md)."""

    def __init__(self, settings: LookupSettings) -> None:
        """Take the columns."""
        self.defaults = tuple(column.default for column in settings.columns.values())
        self._readers = [
            (name, Feature(Column(name, column.type, required=False)), column.default)
            for name, column in settings.columns.items()
        ]

    def read(self, timestamp: int, value: bytes | None) -> Entry | None:
        """Return the entry; ``None`` for a tombstone. A column that the record lacks has its default."""
        if value is None:
            return None
        try:
            return Entry(timestamp, self._values(_fields(value)))
        except _UNREADABLE:
            return Entry(timestamp, None)

    def read_timed(self, value: bytes | None, time_field: str) -> Entry | None:
        """Return the entry of a value that says itself when it was written; ``None`` if there is no value."""
        if value is None:
            return None
        timestamp: int | None = None
        try:
            fields = _fields(value)
            timestamp = _milliseconds(fields.get(time_field))
            return Entry(timestamp, self._values(fields))
        except _UNREADABLE:
            return Entry(timestamp, None)

    def _values(self, fields: Mapping[str, Any]) -> tuple[Any, ...]:
        # A null says as little as a field that is not there.
        read = ((reader(fields.get(name)), default) for name, reader, default in self._readers)
        return tuple(default if value is None else value for value, default in read)


def _fields(value: bytes) -> Mapping[str, Any]:
    fields = strict_json(value.decode("utf-8"))
    if not isinstance(fields, dict):
        raise NotJsonError("a record of the lookup table must be an object")
    return fields


def _milliseconds(time: Any) -> int:
    moment = iso_time(time) if isinstance(time, str) else epoch_time(time)
    return round(moment.replace(tzinfo=timezone.utc).timestamp() * 1_000)
