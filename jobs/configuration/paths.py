"""Paths of the user, checked before anything is started, so that a mistake does not show after an hour."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from streaming.errors import ConfigurationError


def require_writable(folder: Path, name: str) -> None:
    """Check that files can be written in ``folder``. A folder that does not exist yet is not made.

    Permissions alone do not tell: a file system may be read-only, and root has no need of them. So a file without a
    name is made in the folder, or in the nearest one above it that is there.

    Args:
        folder: Where files are going to be written.
        name: The option or the setting that says so.

    Raises:
        ConfigurationError: nothing can be written there.
    """
    with _refused(folder, name):
        _try(_nearest(folder.absolute()))


def require_writable_file(path: Path, name: str) -> None:
    """Check that ``path`` can be written as a file; raises as :func:`require_writable`."""
    with _refused(path, name):
        nearest = _nearest(path.absolute())
        if nearest.is_dir() and nearest == path.absolute():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _try(nearest if nearest.is_dir() else nearest.parent)


def require_writable_uri(location: str, name: str) -> None:
    """Do as :func:`require_writable` for a path or a ``file:`` URI; Spark checks other file systems."""
    parts = urlsplit(location)
    if parts.scheme in ("", "file"):
        require_writable(Path(parts.path if parts.scheme else location), name)


def require_readable_file(path: Path, name: str) -> None:
    """Check that ``path`` is a file that can be read.

    Raises:
        ConfigurationError: it is not.
    """
    try:
        with path.open("rb"):
            return
    except OSError as problem:
        raise ConfigurationError(
            f"{name} {path} cannot be read: {problem.strerror}. Correct the path or its permissions"
        ) from problem


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest existing one above it.

    Raises:
        OSError: nothing can be there: it is below a file, or a name is too long.
    """
    for candidate in (path, *path.parents):
        try:
            candidate.stat()
        except FileNotFoundError:
            continue
        return candidate
    return Path(path.anchor)


def _try(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):
        return


@contextmanager
def _refused(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise ConfigurationError(
            f"{name} {path} cannot be written: {problem.strerror or problem}. Choose another path, or correct the"
            " permissions of this one"
        ) from problem
