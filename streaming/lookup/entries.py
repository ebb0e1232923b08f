"""What a record of the table says of its key."""

from __future__ import annotations

from typing import Any, NamedTuple

from streaming.formats.json.strict import NotJsonError, strict_json
from streaming.formats.json.values import Feature, FieldError
from streaming.models.signature import Column
from streaming.settings import LookupSettings


class Entry(NamedTuple):
    """The newest record of a key.

    ``timestamp`` is the record's, in milliseconds. ``values`` are those of the looked-up columns in the order of the
    settings; ``None`` where the record is no JSON object, or has a column of another type.
    """

    timestamp: int
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
            record = strict_json(value.decode("utf-8"))
            if not isinstance(record, dict):
                return Entry(timestamp, None)
            # A null says as little as a field that is not there.
            read = ((reader(record.get(name)), default) for name, reader, default in self._readers)
            return Entry(timestamp, tuple(default if value is None else value for value, default in read))
        except (UnicodeDecodeError, NotJsonError, FieldError):
            return Entry(timestamp, None)
