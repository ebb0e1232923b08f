"""What served last and which versions are on hold, in one small file, so that a restart need not ask the registry."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from streaming.models.ref import ModelSelector

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LastGood:
    """The version that served last under ``selector``; ``held`` may not serve although the selector names them."""

    selector: str
    version: int | None = None
    digest: str | None = None
    held: tuple[int, ...] = ()


class LastGoodFile:
    """``<cache_dir>/<application>.last_good.json``: belongs to one application and one selector."""

    def __init__(self, path: Path, selector: ModelSelector) -> None:
        self._path = path
        self._selector = str(selector)

    def load(self) -> LastGood:
        """Return what was saved under this selector; empty if nothing was, or it cannot be read."""
        nothing = LastGood(self._selector)
        try:
            data = json.loads(self._path.read_text("utf-8"))
            saved = LastGood(**{**data, "held": tuple(data["held"])})
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError, KeyError, TypeError) as problem:
            _log.warning("last good version cannot be read", path=str(self._path), problem=str(problem))
            return nothing
        return saved if saved.selector == self._selector else nothing

    def save(self, version: int, digest: str, held: frozenset[int]) -> None:
        """Replace what was saved, whole or not at all; a full disk is logged and stops nothing."""
        state = LastGood(self._selector, version, digest, tuple(sorted(held)))
        unfinished = self._path.with_suffix(f".{os.getpid()}")
        try:
            unfinished.write_text(json.dumps(asdict(state)), "utf-8")
            unfinished.replace(self._path)
        except OSError as problem:
            _log.warning("last good version was not saved", path=str(self._path), problem=str(problem))
