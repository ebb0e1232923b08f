"""Files that may be compressed, by their suffix, as streams of bytes."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Suffix to what pyarrow calls it."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some programs write before UTF-8; it belongs to the file and not to its first line."""


def open_bytes(path: Path) -> io.BufferedReader:
    """Open a file for reading what was in it before it was compressed. Raises ``OSError``."""
    compression = compression_of(path)
    if compression is None:
        return path.open("rb")
    return io.BufferedReader(pa.input_stream(str(path), compression=compression))


def compression_of(path: Path) -> str | None:
    """Return the compression that the suffix names.

    >>> compression_of(Path("a.csv.GZ")), compression_of(Path("a.csv"))
    ('gzip', None)
    """
    return COMPRESSIONS.get(path.suffix.lower())
