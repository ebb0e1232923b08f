"""What the first lines of CSV files say; the rows are left to Spark."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from streaming.batch.shapes import FileColumn, FileShape, folder_columns, unnamed
from streaming.errors import ConfigurationError

_MOST_BYTES = 1024 * 1024

Head = Callable[[Path], bytes]
"""Gives the first bytes of a file, decompressed."""


def header_shapes(paths: tuple[Path, ...], base: Path, head: Head) -> dict[str, FileShape]:
    """Return each file's shape; a file that is empty has none.

    Raises:
        ConfigurationError: a header cannot be read; the file is named.
    """
    shapes = {}
    for path in paths:
        names = _header(path, head)
        if names is not None:
            columns = tuple(map(FileColumn.text, names))
            shapes[str(path)] = FileShape(columns, folder_columns(path, base))
    return shapes


def head_of(path: Path) -> bytes:
    """Return a file's first bytes, decompressed as its suffix says."""
    with pa.input_stream(str(path)) as stream:
        return bytes(stream.read(_MOST_BYTES))


def _header(path: Path, head: Head) -> list[str] | None:
    try:
        raw = head(path)
        # A character may be cut in two at the end of what was read.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(raw, final=len(raw) < _MOST_BYTES)
        rows = csv.reader(io.StringIO(text, newline=""))
        names = next((row for row in rows if "".join(row).strip() or len(row) > 1), None)
    except (OSError, pa.ArrowException, csv.Error, UnicodeDecodeError) as problem:
        raise ConfigurationError(
            f"the header of {path} cannot be read, it is damaged or not UTF-8: {problem}. Write the file anew, or take"
            " it out of the input."
        ) from problem
    return None if names is None else [name or unnamed(position) for position, name in enumerate(names)]
