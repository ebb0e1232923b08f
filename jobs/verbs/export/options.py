"""The options of ``penstock export``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.configuration.paths import require_writable
from streaming.errors import ConfigurationError
from streaming.export.precisions import PRECISIONS


@dataclass(frozen=True)
class ExportOptions:
    """The options of the command line; see ``jobs/command/export.py``."""

    out: Path
    model_version: int | None = None
    alias: str | None = None
    precisions: Sequence[str] = ()
    max_mismatch_share: float = 0.001

    def check(self) -> None:
        """Raise ``ConfigurationError`` for an unknown precision, or a folder that is there or cannot be written."""
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise ConfigurationError(f"--precision {precision} is not known; use {', '.join(PRECISIONS)}")
        if self.out.exists():
            raise ConfigurationError(f"--out {self.out} is there already; name another folder, or move it away")
        require_writable(self.out, "--out")
