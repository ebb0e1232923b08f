"""What served last and which versions are on hold, in one small file, so that a restart need not ask the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from streaming.models.ref import ModelKey, ModelSelector
from streaming.whole_file import write_whole

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a file of this room's raises that is not there, or was written by something else."""
_SUFFIX = ".last_good.json"
_EARLIER = 2
"""Versions named in addition to the last one. A batch planned with one may still wait when two others have come."""


@dataclass(frozen=True)
class LastGood:
    """The version that served last under ``selector``; ``held`` may not serve although the selector names them.

    ``earlier`` are the versions that served before it, with their digests, the youngest first.
    """

    selector: str
    version: ModelKey | None = None
    digest: str | None = None
    held: tuple[ModelKey, ...] = ()
    earlier: tuple[tuple[ModelKey, str | None], ...] = ()

    @property
    def served(self) -> Iterator[tuple[ModelKey, str | None]]:
        """Every version that is remembered, with its digest, the youngest first."""
        if self.version is not None:
            yield self.version, self.digest
        yield from self.earlier

    def then(self, version: ModelKey, digest: str, held: frozenset[ModelKey]) -> LastGood:
        """Return what is remembered once ``version`` serves."""
        others = tuple(served for served in self.served if served[0] != version)
        return replace(self, version=version, digest=digest, held=tuple(sorted(held)), earlier=others[:_EARLIER])

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds: numbers alone, as a selector is of one model."""
        return {
            "selector": self.selector,
            "version": self.version.version if self.version else None,
            "digest": self.digest,
            "held": [key.version for key in self.held],
            "earlier": [[key.version, digest] for key, digest in self.earlier],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], model: str) -> LastGood:
        """Read back what the file of a selector of ``model`` holds."""
        version = data["version"]
        return cls(
            selector=data["selector"],
            version=None if version is None else ModelKey(model, version),
            digest=data["digest"],
            held=tuple(ModelKey(model, number) for number in data["held"]),
            earlier=tuple((ModelKey(model, number), digest) for number, digest in data.get("earlier", ())),
        )


class LastGoodFile:
    """``<cache_dir>/<application>.last_good.json``: belongs to one application and one selector."""

    def __init__(self, path: Path, selector: ModelSelector) -> None:
        self._path = path
        self._selector = str(selector)
        self._model = selector.name

    def load(self) -> LastGood:
        """Return what was saved under this selector; empty if nothing was, or it cannot be read."""
        nothing = LastGood(self._selector)
        try:
            saved = LastGood.from_dict(_read(self._path), self._model)
        except FileNotFoundError:
            return nothing
        except UNREADABLE as problem:
            _log.warning("last good version cannot be read", path=str(self._path), problem=str(problem))
            return nothing
        return saved if saved.selector == self._selector else nothing

    def save(self, version: ModelKey, digest: str, held: frozenset[ModelKey]) -> None:
        """Replace what was saved, whole or not at all; a full disk is logged and stops nothing."""
        state = self.load().then(version, digest, held)
        try:
            write_whole(self._path, json.dumps(state.to_dict()).encode())
        except OSError as problem:
            _log.warning("last good version was not saved", path=str(self._path), problem=str(problem))


def last_good_digests(directory: Path) -> Iterator[str]:
    """Yield the digests of what served last, of every application and selector that keeps its file in a folder."""
    for path in directory.glob(f"*{_SUFFIX}"):
        # Whoever owns a file that cannot be read says so when it reads it.
        with suppress(*UNREADABLE):
            yield from [digest for _, digest in LastGood.from_dict(_read(path), "").served if digest]


def _read(path: Path) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return data
