"""The penstock command as a user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment, in which ``python -m penstock`` works from any folder, plus ``extra``."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **extra}


def command(*arguments: str) -> list[str]:
    """Return the command line of ``penstock ARGUMENTS``."""
    return [sys.executable, "-m", "penstock", *arguments]


def penstock(
    *arguments: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None, timeout: float = 180.0
) -> subprocess.CompletedProcess[str]:
    """Run ``penstock ARGUMENTS`` to its end and return what it printed; a failure is the caller's to judge."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**(extra or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
