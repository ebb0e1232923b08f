"""From finished units to the published folders, each by one rename. Done again, it goes on where it was cut short."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streaming.batch.staging import REJECTED, SCORED, Staging
from streaming.errors import ConfigurationError

REPORT = "_penstock.json"
"""Beside the data files: which batch this is, of what, and its counts. Spark and others pass over such names."""
_SUCCESS = "_SUCCESS"


@dataclass(frozen=True)
class BatchTargets:
    """The destinations of a batch's folders. With ``overwrite`` they replace folders that exist."""

    scored: Path
    rejected: Path
    overwrite: bool = False

    def check_apart(self, source: Path, inputs: Iterable[Path]) -> None:
        """Refuse targets that a rename cannot reach, or that lie around or within the input.

        Raises:
            ConfigurationError: they do.
        """
        around = {folder for path in inputs for folder in (path, *path.parents)}
        for target in (self.scored, self.rejected):
            if target in around or (source.is_dir() and source in target.parents):
                raise ConfigurationError(f"{target} and the input {source} lie within each other; give another path")
        if self.scored == self.rejected:
            raise ConfigurationError(f"scored and rejected rows would both go to {self.scored}; give another path")
        # A rename across file systems is a copy, which a kill can cut short.
        if _disk(self.scored) != _disk(self.rejected):
            raise ConfigurationError(
                f"{self.scored} and {self.rejected} are on different file systems, and a folder is published by a"
                " rename; give --rejected a path on the first"
            )

    def check_free(self, batch: str) -> None:
        """Refuse to replace what nobody allowed to be replaced.

        Raises:
            ConfigurationError: there is something at a target that is not this batch's own.
        """
        for target in (self.scored, self.rejected):
            if target.exists() and not self.overwrite and published_batch(target) != batch:
                raise ConfigurationError(f"{target} exists; give --overwrite to replace it, or another path")


def publish(staging: Staging, targets: BatchTargets, units: int, report: Mapping[str, Any]) -> None:
    """Move everything to its target. The rejected rows come first: scored rows in place say that the batch is done.

    Args:
        staging: has all ``units``, finished.
        targets: see :class:`BatchTargets`.
        units: how many there are.
        report: becomes :data:`REPORT`; its ``batch`` says whose a folder is.

    Raises:
        ConfigurationError: a target exists and may not be replaced.
    """
    batch = str(report["batch"])
    # Checked again: scoring may have taken hours, in which somebody wrote to the target.
    targets.check_free(batch)
    for kind, target in ((REJECTED, targets.rejected), (SCORED, targets.scored)):
        gathered = staging.folder / kind
        # This run, or one before it, was killed between the two renames.
        if published_batch(target) == batch:
            continue
        _gather(staging, kind, units, gathered)
        if kind == REJECTED and not any(gathered.iterdir()):
            _set_aside(target, staging.folder / f"replaced-{kind}")
            continue
        (gathered / REPORT).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        # Spark and others take the file for the sign that a folder is complete.
        (gathered / _SUCCESS).touch()
        target.parent.mkdir(parents=True, exist_ok=True)
        _set_aside(target, staging.folder / f"replaced-{kind}")
        gathered.rename(target)


def published_batch(target: Path) -> str | None:
    """Return which batch a folder was published by; ``None`` if by none."""
    try:
        return str(json.loads((target / REPORT).read_text("utf-8"))["batch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _disk(path: Path) -> int:
    there = next(folder for folder in path.parents if folder.exists())
    return there.stat().st_dev


def _gather(staging: Staging, kind: str, units: int, gathered: Path) -> None:
    gathered.mkdir(exist_ok=True)
    for number in range(units):
        folder = staging.unit(number) / kind
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and not path.name.startswith((".", "_")):
                # The unit's number comes first, so that the files stand in the input's order.
                name = f"part-{number:05d}-{path.name.removeprefix('part-')}"
                target = gathered / path.relative_to(folder).with_name(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)


def _set_aside(target: Path, aside: Path) -> None:
    """Move what is replaced out of the way; it is removed with the staging folder, when the new one is in place."""
    if target.exists():
        if aside.exists():
            shutil.rmtree(aside)
        target.rename(aside)
