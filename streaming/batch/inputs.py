"""What can be seen of input files before anything is started."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from streaming.batch.files import Format
from streaming.errors import ConfigurationError
from streaming.json_lines import refuse_document


def check_files(paths: Iterable[Path], kind: Format) -> None:
    """Look at names and beginnings.

    Raises:
        ConfigurationError: a file cannot be read as ``kind``; it is named.
    """
    for path in paths:
        if kind == "json":
            refuse_document(path)
        if kind == "parquet" and ":" in path.name:
            raise ConfigurationError(
                f"{path} has a colon in its name, with which Spark reads no Parquet file; rename it, to"
                f" {path.name.replace(':', '-')} for one"
            )
