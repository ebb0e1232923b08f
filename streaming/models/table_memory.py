"""What a job with many models remembers over a restart: versions, holds, and which models had most events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from streaming.models.last_good import UNREADABLE
from streaming.models.ref import ModelKey
from streaming.whole_file import write_whole

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_SUFFIX = ".models.json"


@dataclass(frozen=True)
class TableMemory:
    """The versions that served with their digests, the models with most events first, and what may not serve."""

    versions: Mapping[ModelKey, str] = field(default_factory=dict)
    held: frozenset[ModelKey] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        rows = [[key.name, key.version, digest] for key, digest in self.versions.items()]
        return {"rows": rows, "held": [[key.name, key.version] for key in sorted(self.held)]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableMemory:
        """Read back what the file holds."""
        versions = {ModelKey(name, version): digest for name, version, digest in data["rows"]}
        return cls(versions, frozenset(ModelKey(name, version) for name, version in data["held"]))


class TableMemoryFile:
    """``<cache_dir>/<application>.models.json``: belongs to one application, one rule and one alias."""

    def __init__(self, cache_dir: Path, application: str, rule: str) -> None:
        self._path = cache_dir / f"{application}{_SUFFIX}"
        self._rule = rule

    def load(self) -> TableMemory:
        """Return what was saved under this rule; empty if nothing was, or it cannot be read."""
        try:
            data = json.loads(self._path.read_text("utf-8"))
            return TableMemory.from_dict(data) if data["rule"] == self._rule else TableMemory()
        except FileNotFoundError:
            return TableMemory()
        except UNREADABLE as problem:
            _log.warning("the models of before cannot be read", path=str(self._path), problem=str(problem))
            return TableMemory()

    def save(self, memory: TableMemory) -> None:
        """Replace what was saved, whole or not at all; a full disk is logged and stops nothing."""
        try:
            write_whole(self._path, json.dumps({"rule": self._rule, **memory.to_dict()}).encode())
        except OSError as problem:
            _log.warning("the models were not saved", path=str(self._path), problem=str(problem))


def table_digests(directory: Path) -> Iterator[str]:
    """Yield the digests of what serves in tables, of every application that keeps its file in a folder."""
    for path in directory.glob(f"*{_SUFFIX}"):
        # Whoever owns a file that cannot be read says so when it reads it.
        with suppress(*UNREADABLE):
            yield from TableMemory.from_dict(json.loads(path.read_text("utf-8"))).versions.values()
