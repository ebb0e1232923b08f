"""Events in a file of JSON lines as records: what a topic would hold if each line had been sent to it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streaming.clock import instant
from streaming.compressed import BYTE_ORDER_MARK, open_bytes
from streaming.errors import ConfigurationError
from streaming.json_lines import refuse_document
from streaming.replay.recording import RecordedEvent
from streaming.settings import EventSettings


def read_lines(path: Path, envelope: EventSettings, partitions: int = 1) -> Iterator[tuple[int, RecordedEvent]]:
    """Yield partition and record of each line that is not blank.

    The value is the line's bytes, the offset the line's number from 0, and the timestamp the event's time; a line
    without a readable one has the time of the line before. With ``event.key`` the field is the record's key, and equal
    keys are in one partition; events without a key go to the partitions in turn.

    Raises:
        ConfigurationError: there is no such file, it cannot be read, or no line of it is a JSON object.
    """
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    refuse_document(path)
    timestamp, lines, events, keyless = 0, 0, 0, 0
    for number, value in _lines(path):
        fields = _fields(value)
        lines, events = lines + 1, events + (fields is not None)
        timestamp = _milliseconds(fields or {}, envelope, timestamp)
        key = _key(fields or {}, envelope)
        turn = keyless if key is None else zlib.crc32(key)
        keyless += key is None
        yield turn % partitions, RecordedEvent(number, timestamp, key, value)
    if lines and not events:
        raise ConfigurationError(
            f"{path} holds no events: none of its {lines:,} lines is a JSON object. It is read as JSON lines,"
            " plain or compressed as .gz, .bz2 or .zst"
        )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line that is not blank."""
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file):
                value = line.removesuffix(b"\n").removesuffix(b"\r")
                bare = value.removeprefix(BYTE_ORDER_MARK) if number == 0 else value
                if bare.strip():
                    yield number, bare
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}") from problem


def _fields(value: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _milliseconds(fields: dict[str, Any], envelope: EventSettings, before: int) -> int:
    time_value = fields.get(envelope.time) if envelope.time else None
    try:
        if envelope.time_format == "epoch_ms":
            return int(time_value) if isinstance(time_value, int) else before
        return int(instant(time_value).timestamp() * 1_000) if isinstance(time_value, str) else before
    except (ValueError, OverflowError):
        return before


def _key(fields: dict[str, Any], envelope: EventSettings) -> bytes | None:
    key_value = fields.get(envelope.key) if envelope.key else None
    return None if key_value is None else str(key_value).encode()
