"""Events in a file of JSON lines as records: what a topic would hold if each line had been sent to it."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from streaming.clock import instant
from streaming.errors import ConfigurationError
from streaming.replay.recording import Record
from streaming.settings import EventSettings

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def read_lines(path: Path, envelope: EventSettings, partitions: int = 1) -> Iterator[tuple[int, Record]]:
    """Yield partition and record of each line that is not blank.

    The value is the line's bytes, the offset the line's number from 0, and the timestamp the event's time; a line
    without a readable one has the time of the line before. With ``event.key`` the field is the record's key, and equal
    keys are in one partition.

    Raises:
        ConfigurationError: there is no such file.
    """
    timestamp = 0
    with _opened(path) as file:
        for number, line in enumerate(file):
            value = line.removesuffix(b"\n").removesuffix(b"\r")
            if not value.strip():
                continue
            fields = _fields(value)
            timestamp = _milliseconds(fields, envelope, timestamp)
            key = _key(fields, envelope)
            yield zlib.crc32(key or b"") % partitions, Record(number, timestamp, key, value)


def _opened(path: Path) -> io.BufferedReader:
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    compression = _COMPRESSIONS.get(path.suffix)
    if compression is None:
        return path.open("rb")
    return io.BufferedReader(pa.input_stream(str(path), compression=compression))


def _fields(value: bytes) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _milliseconds(fields: dict[str, Any], envelope: EventSettings, before: int) -> int:
    given = fields.get(envelope.time) if envelope.time else None
    try:
        if envelope.time_format == "epoch_ms":
            return int(given) if isinstance(given, int) else before
        return int(instant(given).timestamp() * 1_000) if isinstance(given, str) else before
    except (ValueError, OverflowError):
        return before


def _key(fields: dict[str, Any], envelope: EventSettings) -> bytes | None:
    given = fields.get(envelope.key) if envelope.key else None
    return None if given is None else str(given).encode()
