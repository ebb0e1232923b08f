"""Where a benchmark keeps its broker's data, models and checkpoints: a folder that goes when the run ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HOME = Path(".penstock")
LOGS = Path("build/bench/logs")


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield an absolute folder below ``.penstock/bench``, removed when the block ends, also by an error or Ctrl-C.

    A broker's data of one run take several gigabytes, so nothing may stay behind; the processes' logs are moved to
    ``build/bench/logs/NAME`` first, in place of those of the last run.
    """
    parent = (HOME / "bench").absolute()
    parent.mkdir(parents=True, exist_ok=True)
    # What a process that was just stopped still writes may make the removal fail; that is no reason to lose the result.
    with TemporaryDirectory(prefix=f"{name}-", dir=parent, ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        finally:
            keep_logs(Path(folder), LOGS / name)


def keep_logs(folder: Path, target: Path) -> None:
    """Move the logs of processes, in ``folder`` itself and below ``runs``, to ``target``.

    Kafka's segments end with ``.log`` too, and lie in folders of their own.
    """
    shutil.rmtree(target, ignore_errors=True)
    for log in (*folder.glob("*.log"), *folder.glob("runs/**/*.log")):
        moved = target / log.relative_to(folder)
        moved.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(log, moved)
