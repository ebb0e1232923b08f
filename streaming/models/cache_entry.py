"""One complete version in the cache: where it is, what was resolved, how large it is, when it was last used."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from streaming.models.ref import ModelVersion

ENTRY_FILE = "entry.json"
FILES = "model"
_MOST_DESCRIBED = 8_192
"""Entries of which a process keeps what their files say: a cache of many models is listed at each download."""


@dataclass(frozen=True)
class Entry:
    """A directory of the cache; ``used`` is the epoch time in seconds of its last use."""

    path: Path
    version: ModelVersion
    digest: str
    bytes: int
    used: float


def write_entry(path: Path, version: ModelVersion, digest: str) -> None:
    """Describe the files below ``path / FILES``; written last, before the directory gets its name."""
    size = sum(file.stat().st_size for file in (path / FILES).rglob("*") if file.is_file())
    data = {"version": asdict(version), "digest": digest, "bytes": size}
    (path / ENTRY_FILE).write_text(json.dumps(data, indent=1), "utf-8")


def read_entry(path: Path) -> Entry | None:
    """Return the entry at ``path``; ``None`` if it has gone or is not one of ours."""
    try:
        status = (path / ENTRY_FILE).stat()
        return replace(_described(path, status.st_ino), used=status.st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(_MOST_DESCRIBED)
def _described(path: Path, inode: int) -> Entry:  # noqa: ARG001 - another file of this name is another entry
    data = json.loads((path / ENTRY_FILE).read_text("utf-8"))
    version = ModelVersion(**{**data["version"], "aliases": tuple(data["version"]["aliases"])})
    return Entry(path=path, version=version, digest=data["digest"], bytes=data["bytes"], used=0.0)


def entries(directory: Path, pattern: str = "*/*-*") -> list[Entry]:
    """Return the complete versions below a cache's directory, the last used first."""
    listed = (read_entry(path) for path in directory.glob(pattern) if path.parent.name != ".partial")
    return sorted((entry for entry in listed if entry), key=lambda entry: -entry.used)
