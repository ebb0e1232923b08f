"""What names a CSV file's columns: its header, and the folders ``column=value`` that it is in."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from streaming.batch.pieces import first_record
from streaming.errors import ConfigurationError

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def header(path: Path, encoding: str) -> tuple[str, ...]:
    """Return the columns of one file, named as Spark names those without a name and those of a name that comes twice.

    Raises:
        ConfigurationError: the file cannot be read, or its first row is no header.
    """
    try:
        record = first_record(path, "csv")
        text = "" if record is None else record.decode(encoding)
        if "\0" in text:
            raise ConfigurationError(
                f"{path} is not CSV: its first line has a NUL byte, as UTF-16 and binary files do; write it as UTF-8"
                " first"
            )
        names = next(csv.reader([text], strict=True), [])
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}") from problem
    except UnicodeDecodeError as problem:
        raise ConfigurationError(
            f"the header of {path} is not {encoding.upper()} (byte {problem.start + 1}); name the file's encoding with"
            " --encoding, such as latin-1"
        ) from None
    except csv.Error as problem:
        raise ConfigurationError(f"the header of {path} is not CSV: {problem}") from None
    return _named(names)


def union(headers: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the columns of all files, in the order in which they first come.

    Raises:
        ConfigurationError: two differ only in case, which Spark cannot tell apart.
    """
    names = tuple(dict.fromkeys(name for names in headers for name in names))
    spellings: dict[str, str] = {}
    for name in names:
        if spellings.setdefault(name.lower(), name) != name:
            raise ConfigurationError(
                f"the files' columns {spellings[name.lower()]!r} and {name!r} differ only in case; rename one"
            )
    return names


def folders(path: Path, base: Path) -> dict[str, str | None]:
    """Return the columns that the folders between ``base`` and a file name, as text.

    >>> folders(Path("/in/store=007/day=2026-01-01T10%3A00/a.csv"), Path("/in"))
    {'store': '007', 'day': '2026-01-01T10:00'}
    """
    pairs = (part.partition("=") for part in path.relative_to(base).parent.parts)
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, sign, value in pairs if sign}


def _named(names: Sequence[str]) -> tuple[str, ...]:
    times = Counter(name.lower() for name in names)
    return tuple(
        f"_c{number}" if not name else f"{name}{number}" if times[name.lower()] > 1 else name
        for number, name in enumerate(names)
    )
