"""Paths on this machine as Spark takes them. Hadoop does not unquote a URI: a quoted space would be a percent sign."""

from __future__ import annotations

from pathlib import Path


def to_write(path: Path) -> str:
    """Return a path that is written to.

    >>> to_write(Path("/data/a b"))
    'file:///data/a b'
    """
    return f"file://{path}"


def to_read(path: str | Path) -> str:
    r"""Return a path that is read, without what Hadoop would take for a pattern.

    >>> to_read("/data/a[1].parquet")
    'file:///data/a\\[1\\].parquet'
    """
    return "file://" + "".join(f"\\{char}" if char in "*?[]{}\\" else char for char in str(path))
