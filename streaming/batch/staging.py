"""Where a batch keeps what it has finished until all is there: a hidden folder beside the target.

::

    .<target>.penstock-<batch>/lock             held by the run that works on it
                               plan.json        what the batch is
                               run.json         the MLflow run that has recorded it
                               unit-00007/      whole or not there, as it is renamed when its counts are written
                                 counts.json
                                 scored/  rejected/
                               unfinished-.../  the unit in progress; each run has a name of its own for it
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from streaming.batch.counts import BatchCounts
from streaming.batch.plan import BatchPlan
from streaming.errors import ConfigurationError
from streaming.models.locks import FileLock
from streaming.whole_file import write_whole

SCORED, REJECTED = "scored", "rejected"
_PLAN, _COUNTS, _RUN, _UNFINISHED = "plan.json", "counts.json", "run.json", "unfinished-"


@dataclass(frozen=True)
class Staging:
    """The state of one batch on disk, held by this process until :meth:`close` or its end."""

    folder: Path
    lock: FileLock
    unfinished: Path

    @classmethod
    def open(cls, target: Path, batch: str) -> Staging:
        """Take hold of a batch's folder, which is made if it is not there.

        Raises:
            ConfigurationError: another run holds it.
        """
        folder = folder_of(target, batch)
        folder.mkdir(parents=True, exist_ok=True)
        # The system releases the lock when a process is killed, so no stale lock needs removing.
        lock = FileLock.try_exclusive(folder / "lock")
        if lock is None:
            raise ConfigurationError(f"another run works on the batch {batch}; wait for it, or end it first")
        # A killed run's JVM may live on for a moment and write to its own.
        return cls(folder, lock, folder / f"{_UNFINISHED}{uuid4().hex[:8]}")

    def plan(self) -> BatchPlan | None:
        """Return what the batch was begun as; ``None`` if it was not.

        Raises:
            ConfigurationError: it cannot be read.
        """
        return begun_plan(self.folder)

    def begin(self, plan: BatchPlan) -> None:
        """Write down what the batch is."""
        write_whole(self.folder / _PLAN, plan.to_json().encode())

    def counts(self, unit: int) -> BatchCounts | None:
        """Return what came of a finished unit; ``None`` if it is not finished."""
        try:
            return BatchCounts.from_json((self.unit(unit) / _COUNTS).read_text("utf-8"))
        except FileNotFoundError:
            return None

    def unit(self, number: int) -> Path:
        """Return where a finished unit is."""
        return self.folder / f"unit-{number:05d}"

    def start_unit(self) -> Path:
        """Return an empty folder for the next unit; what a killed run left there is removed."""
        for leftover in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        self.unfinished.mkdir()
        return self.unfinished

    def finish_unit(self, number: int, counts: BatchCounts) -> None:
        """Make the unit in progress a finished one, at once."""
        write_whole(self.unfinished / _COUNTS, counts.to_json().encode())
        # The rename makes the unit whole at once: a kill before it leaves an unfinished folder only.
        self.unfinished.rename(self.unit(number))

    def recorded(self) -> str | None:
        """Return the MLflow run that has recorded the batch, if there is one."""
        with suppress(FileNotFoundError):
            return (self.folder / _RUN).read_text("utf-8")
        return None

    def record(self, run_id: str) -> None:
        """Remember that the run has recorded the batch."""
        write_whole(self.folder / _RUN, run_id.encode())

    def close(self) -> None:
        """Let go of the folder, which stays."""
        self.lock.close()

    def remove(self) -> None:
        """Remove the folder: the batch is published, or was never begun."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()


def begun_plan(folder: Path) -> BatchPlan | None:
    """Return the plan in a batch's folder; raises as :meth:`Staging.plan`, and needs no hold of the folder."""
    path = folder / _PLAN
    try:
        return BatchPlan.from_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}; remove {folder} to start again") from None


def folder_of(target: Path, batch: str) -> Path:
    """Return where a batch keeps its state."""
    return target.with_name(f"{_prefix(target)}{batch}")


def unfinished(target: Path) -> list[str]:
    """Return the batches that were begun for ``target`` and not published."""
    return sorted(
        path.name.removeprefix(_prefix(target))
        for path in target.parent.glob(".*")
        if path.name.startswith(_prefix(target)) and path.is_dir()
    )


def _prefix(target: Path) -> str:
    return f".{target.name}.penstock-"
