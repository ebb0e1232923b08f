"""Places in the delivery protocol at which the chaos suite lets a process die, stop or fail; inert everywhere else.

A failpoint is armed by a file of its name, whose text is what happens there. Files reach the driver and the workers
alike, and a rename takes one exactly once, so that a run can count what was hit.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

WRITER = ("collected", "opened", "mark_read", "began", "produced", "offsets_sent", "committed")
ENGINE = ("ranges_read", "planned", "written", "recorded")
NAMES = (*(f"writer.{step}" for step in WRITER), *(f"engine.{step}" for step in ENGINE))
"""The exact engine's failpoints: after each step of the writer's recipe, and after each of the engine's."""
_LIVE_STEPS = ("boundary", "planned", "younger_started", "caught_up", "older_stopped", "handed_over")
LIVE = tuple(f"live.{step}" for step in _LIVE_STEPS)
"""The live engine's failpoints: at a boundary that is not recorded yet, and after each step of a handover."""

HIT = "hit"
"""The folder, beside the armed files, to which a failpoint that was reached is moved as ``<name>.<process>.<time>``."""


@dataclass(frozen=True)
class Failpoints:
    """Looks for armed failpoints in ``folder``; ``None``, as in every real run, means that nothing is looked for."""

    folder: str | None = None

    def reach(self, name: str) -> None:
        """Do what the file says, if the failpoint ``name`` is armed: ``kill``, ``stop`` or ``raise``."""
        if self.folder is not None:
            _reached(Path(self.folder), name)


OFF = Failpoints()


def _reached(folder: Path, name: str) -> None:
    taken = folder / HIT / f"{name}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        (folder / name).rename(taken)
    except FileNotFoundError:
        return
    action = taken.read_text("utf-8").strip()
    if action == "raise":
        raise RuntimeError(f"failpoint {name}")
    os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])
