"""What one file has: its columns in its own order and types, and those of the folders it lies in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from pyspark.sql.types import DataType, StringType

from streaming.errors import ConfigurationError

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class FileColumn:
    """One column of one file.

    ``type`` is what it is read as: ``NullType`` if it holds nothing, ``None`` if Spark cannot read it. ``described`` is
    the type in words. ``nanoseconds`` is a timestamp that Spark can only read as a whole number.
    """

    name: str
    type: DataType | None
    described: str
    nanoseconds: bool = False

    @classmethod
    def text(cls, name: str) -> FileColumn:
        """Return a column of text."""
        return cls(name, StringType(), "text")


@dataclass(frozen=True)
class FileShape:
    """One file. ``folders`` are the values of the ``column=value`` folders as text, the outermost first."""

    columns: tuple[FileColumn, ...]
    folders: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def effective(self) -> tuple[FileColumn, ...]:
        """The columns that are read. A folder's value stands before that of a column of the same name, as in Spark."""
        lowered = {name.lower() for name in self.folders}
        own = (column for column in self.columns if column.name.lower() not in lowered)
        return (*own, *(FileColumn.text(name) for name in self.folders))


def unnamed(position: int) -> str:
    """Return the name that Spark gives to a CSV column whose header has none."""
    return f"_c{position}"


def folder_columns(path: Path, base: Path) -> dict[str, str | None]:
    """Return the columns that a file's folders name, by the rule that Spark has, and their values.

    >>> folder_columns(Path("/in/month=1/store=007/a.csv"), Path("/in"))
    {'month': '1', 'store': '007'}

    Raises:
        ConfigurationError: a folder has no name or no value beside its sign, or two have the same name.
    """
    columns: dict[str, str | None] = {}
    for folder in reversed(path.relative_to(base).parts[:-1]):
        name, sign, value = folder.partition("=")
        if sign and not (name and value):
            raise ConfigurationError(f"the folder {folder} of {path} is not column=value; rename it")
        if sign and unquote(name) in columns:
            raise ConfigurationError(f"two folders of {path} name the column {unquote(name)}; rename one")
        if sign:
            columns[unquote(name)] = None if value == _NO_VALUE else unquote(value)
        elif columns:
            break  # Spark looks no further up than the folders that follow each other
    return dict(reversed(columns.items()))
