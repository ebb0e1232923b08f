"""The options of ``penstock record``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.wiring.stretch import Stretch


@dataclass(frozen=True)
class RecordOptions:
    """What is recorded, and where. The default ``topic`` is the input; ``lines`` is a file to read instead."""

    out: Path
    topic: str | None
    stretch: Stretch
    lines: Path | None = None
    partitions: int = 1
