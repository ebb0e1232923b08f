"""The options of ``penstock drift baseline``."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.batch.text import UTF_8


@dataclass(frozen=True)
class BaselineOptions:
    """The rows to learn from, the version, and the alias of the new version."""

    source: str
    version: int | None
    alias: str | None
    format: str | None = None
    encoding: str = UTF_8
