"""One run of the command that is killed like a lost machine, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.commands import ROOT, command, environment
from tests.support.eventually import eventually
from tests.support.job import PATIENCE


@dataclass
class KillableRun:
    """``penstock ARGUMENTS``, whose output and errors go to ``log``; the last line of it is its JSON."""

    arguments: list[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self, *more: str) -> None:
        """Start it, with ``more`` arguments."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command(*self.arguments, *more),
                cwd=ROOT,
                env=environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_when(self, reached: Callable[[], bool]) -> None:
        """End it and all it started at once, as soon as it has got so far; fails if it ends by itself before."""

        def check() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-5_000:]
            return reached()

        eventually(check, timeout=PATIENCE)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def finish(self) -> dict[str, Any]:
        """Wait for its end, and return its JSON."""
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()[-5_000:]
        summary: dict[str, Any] = json.loads(self.log.read_text().splitlines()[-1])
        return summary
