"""What a follower of many models is connected to, and how it follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from streaming.clock import Clock
from streaming.models.announcer import Announcer
from streaming.models.cache import Download
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.registry import ManyModels
from streaming.models.routing import RoutingRule
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.models.table import ModelTable, ProgramLimits, TableRow
from streaming.models.table_memory import TableMemoryFile


@dataclass(frozen=True)
class MadeVersion:
    """A version that has passed its checks, and its row, whose program is there for workers."""

    served: ServedModel
    row: TableRow


class TableMaker(Protocol):
    """Makes versions and tables ready for workers; ``scoring/table_files.py`` does."""

    def prepare(self, version: ModelVersion, download: Download, /) -> MadeVersion:
        """Check a version, and make it ready for a table."""
        ...

    def recall(self, key: ModelKey, digest: str, /) -> MadeVersion | None:
        """Do the same from the cache alone; ``None`` if the version is not there."""
        ...

    def served(self, table: ModelTable, limits: ProgramLimits, /) -> ServedModel:
        """Return a table as what the slot holds."""
        ...


@dataclass(frozen=True)
class ManyFollowing:
    """What to follow and how: the rule, the alias, how often in seconds, and what is spent on it.

    ``threads`` versions are loaded at once. One that takes longer than ``patience_seconds`` is not counted among them.
    """

    rule: RoutingRule
    alias: str
    poll_seconds: float = 10.0
    startup_seconds: float = 60.0
    first_seconds: float = 600.0
    threads: int = 2
    patience_seconds: float = 20.0
    limits: ProgramLimits = field(default_factory=ProgramLimits)


@dataclass(frozen=True)
class ManyPorts:
    """What the follower is connected to; ``announcer`` gives that of each model, ``seen`` is told of each table."""

    registry: ManyModels
    maker: TableMaker
    slot: Slot
    announcer: Callable[[str], Announcer]
    seen: Callable[[ServedModel, ModelTable], None]
    memory: TableMemoryFile
    clock: Clock
