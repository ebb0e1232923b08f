"""What ``penstock record`` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.wiring.stretch import Stretch


@dataclass(frozen=True)
class RecordOptions:
    """What the command line asks for. ``topic`` is the input by default; ``lines`` is a file to take in its place."""

    out: Path
    topic: str | None
    stretch: Stretch
    lines: Path | None = None
    partitions: int = 1
