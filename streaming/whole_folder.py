"""Folders that appear with all of their files, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streaming.errors import ConfigurationError


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder to write to, which becomes ``folder`` at the end of the block, and goes if that raises.

    Raises:
        ConfigurationError: there is something at ``folder`` already.
    """
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already; name another folder, or move it away")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, because a rename works within one file system only.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as hidden:
        partial = Path(hidden) / folder.name
        partial.mkdir()
        yield partial
        partial.rename(folder)
