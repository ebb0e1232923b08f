"""Compiled versions as files that workers read, and keep as far as their memory is meant for it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cachetools import LRUCache
from pyspark import cloudpickle

from streaming.models.profile import ReferenceProfile
from streaming.models.seams import ArrowScorer, Guard
from streaming.models.table import ModelTable
from streaming.whole_file import write_whole

_TABLES = 4
"""Tables that a worker keeps: the present one, the one before, and room for a second query."""


@dataclass(frozen=True)
class ModelProgram:
    """What a worker needs of a version: its guards, its scorer, and the profile whose bins are counted."""

    guards: tuple[Guard, ...]
    scorer: ArrowScorer
    profile: ReferenceProfile | None = None


def write_file(path: Path, content: object) -> None:
    """Pickle something to a file, which appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, cloudpickle.dumps(content))  # type: ignore[no-untyped-call]


@lru_cache(maxsize=_TABLES)
def read_table(path: Path) -> ModelTable:
    """Return this process's own copy of a table; raises ``OSError`` if the file is not there."""
    table: ModelTable = pickle.loads(path.read_bytes())  # noqa: S301 - written by the driver
    return table


class ResidentPrograms:
    """The programs that this process has read, within a bound on the size of their files; the least used go first."""

    def __init__(self, most_bytes: int) -> None:
        """Read nothing yet."""
        self._programs: LRUCache[str, tuple[ModelProgram, int]] = LRUCache(most_bytes, getsizeof=lambda both: both[1])

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._programs)

    @property
    def bytes(self) -> int:
        """The size of the files of those that are kept."""
        return int(self._programs.currsize)

    def get(self, path: str) -> ModelProgram:
        """Return a program, from its file if it is not kept.

        Raises:
            OSError: the file cannot be read.
            Exception: what unpickling says of a file that is damaged.
        """
        resident = self._programs.get(path)
        if resident is not None:
            return resident[0]
        data = Path(path).read_bytes()
        program: ModelProgram = pickle.loads(data)  # noqa: S301 - written by the driver
        if len(data) <= self._programs.maxsize:
            self._programs[path] = program, len(data)
        return program


@lru_cache(maxsize=1)
def resident_programs(most_bytes: int) -> ResidentPrograms:
    """Return this process's programs, which all of its tasks share."""
    return ResidentPrograms(most_bytes)
