"""What the headers of CSV files say; the rows are left alone."""

from __future__ import annotations

import csv
from pathlib import Path

from streaming.batch.pieces import first_record
from streaming.batch.shapes import FileColumn, FileShape, folder_columns, unnamed
from streaming.batch.text import UTF_8
from streaming.errors import ConfigurationError


def header_shapes(paths: tuple[Path, ...], base: Path, encoding: str = UTF_8) -> dict[str, FileShape]:
    """Return each file's shape; a file that is empty has none.

    Raises:
        ConfigurationError: a file cannot be read, or its first row is not a header. The message names the file.
    """
    shapes = {}
    for path in paths:
        names = _header(path, encoding)
        if names:
            columns = tuple(FileColumn.text(name or unnamed(position)) for position, name in enumerate(names))
            shapes[str(path)] = FileShape(columns, folder_columns(path, base))
    return shapes


def _header(path: Path, encoding: str) -> list[str]:
    try:
        record = first_record(path, "csv")
        text = "" if record is None else record.decode(encoding)
        if "\0" in text:
            raise ConfigurationError(
                f"{path} is not CSV: its first line has a NUL byte, as UTF-16 and binary files do; write it as UTF-8"
                " first"
            )
        return next(csv.reader([text], strict=True), [])
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}") from problem
    except UnicodeDecodeError as problem:
        raise ConfigurationError(
            f"the header of {path} is not {encoding.upper()} (byte {problem.start + 1}); name the file's encoding with"
            " --encoding, such as latin-1"
        ) from None
    except csv.Error as problem:
        raise ConfigurationError(f"the header of {path} is not CSV: {problem}") from None
