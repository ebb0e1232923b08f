"""What ``penstock drift baseline`` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.batch.text import UTF_8


@dataclass(frozen=True)
class BaselineOptions:
    """The options as they were given: rows to learn from, the version, and where the new one is put."""

    source: str
    version: int | None
    alias: str | None
    format: str | None = None
    encoding: str = UTF_8
