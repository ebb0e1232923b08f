"""A registry of many models in memory, and a follower of them over real files, checks and programs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.wiring.in_process import in_process_preparation
from streaming.errors import ModelNotFoundError
from streaming.models.announcer import Announcer
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.many_follower import ManyFollower
from streaming.models.many_ports import ManyFollowing, ManyPorts
from streaming.models.ref import ModelSelector, ModelVersion, VersionStatus
from streaming.models.routing import RoutingRule
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.models.table import ModelTable
from streaming.models.table_memory import TableMemoryFile
from streaming.scoring.routed_pass import RoutedPass
from streaming.scoring.table_files import TableFiles
from streaming.settings import Settings
from streaming.testing import ManualClock
from tests.support.many import RULE, logged_regression
from tests.support.versions import CountedMetrics, RecordedEvents


@dataclass
class ShelfRegistry:
    """Implements :class:`streaming.models.registry.ManyModels` over folders.

    Downloads of ``slow`` models wait until they are ``released``; versions of ``pending`` ones are being registered.
    """

    folder: Path
    aliases: dict[str, int] = field(default_factory=dict)
    searches: list[tuple[str, str]] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    slow: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)
    pending: set[str] = field(default_factory=set)
    trouble: Exception | None = None
    """What every call raises, such as that the registry is down."""

    def register(self, name: str, intercept: float, *, bounded: bool = False) -> int:
        """Register the model's next version and point the alias at it."""
        number = self.aliases.get(name, 0) + 1
        root = self.folder / name / str(number)
        root.mkdir(parents=True)
        logged_regression(root, intercept, bounded=bounded)
        self.aliases[name] = number
        return number

    def aliased(self, prefix: str, alias: str) -> Mapping[str, int]:
        """Return what the alias names, and note the search."""
        self.searches.append((prefix, alias))
        self._answer()
        return {name: number for name, number in self.aliases.items() if name.startswith(prefix)}

    def get(self, name: str, version: int) -> ModelVersion:
        """Return the version with its digest's tag."""
        self._answer()
        root = self.folder / name / str(version)
        if not root.exists():
            raise ModelNotFoundError(f"{name} v{version} is not there")
        status: VersionStatus = "PENDING" if name in self.pending else "READY"
        tags = {DIGEST_TAG: tree_digest(root)}
        return ModelVersion(name, version, f"run-{name}-{version}", tags=tags, status=status)

    def _answer(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def download(self, version: ModelVersion, target: Path) -> None:
        """Copy the files; of a slow model when it is released."""
        if version.name in self.slow:
            self.released.wait(30)
        self.downloads.append(f"{version.name}/{version.version}")
        shutil.copytree(self.folder / version.name / str(version.version), target, dirs_exist_ok=True)


@dataclass
class ManyHouse:
    """One driver's side of many models."""

    registry: ShelfRegistry
    home: Path
    rule: RoutingRule = RULE
    clock: ManualClock = field(default_factory=ManualClock)
    sink: RecordedEvents = field(default_factory=RecordedEvents)
    metrics: CountedMetrics = field(default_factory=CountedMetrics)
    slot: Slot = field(default_factory=Slot)
    tables: list[ModelTable] = field(default_factory=list)
    startup_seconds: float = 0.0

    def __post_init__(self) -> None:
        settings = Settings.model_validate({"model": {"cache_dir": str(self.home / "cache"), "cache_keep": 100}})
        checks = in_process_preparation(settings)
        self.files = TableFiles(self.home, checks, settings.event, settings.input.max_value_bytes)
        self.memory = TableMemoryFile(self.home / "cache", "app", f"{self.rule}@champion")
        ports = ManyPorts(
            registry=self.registry,
            maker=self.files,
            slot=self.slot,
            announcer=self.announcer,
            seen=lambda _, table: self.tables.append(table),
            memory=self.memory,
            clock=self.clock,
        )
        following = ManyFollowing(
            rule=self.rule,
            alias="champion",
            poll_seconds=0.05,
            startup_seconds=self.startup_seconds,
            first_seconds=20.0,
            patience_seconds=0.1,
        )
        self.follower = ManyFollower(ports, following)

    def announcer(self, name: str) -> Announcer:
        """Return the announcer of a model."""
        return Announcer("app", ModelSelector(name, "alias", "champion"), self.clock, self.metrics, [self.sink])

    @property
    def versions(self) -> dict[str, int | None]:
        """The version of each model in the table that serves; ``None`` where it has none."""
        return {row.version.name: row.version.version if row.is_loaded else None for row in self.row_pass.table.rows}

    @property
    def row_pass(self) -> RoutedPass:
        """The pass of the table that serves."""
        served = self.slot.current()
        assert served is not None
        return pass_of(served)

    def close(self) -> None:
        """Stop."""
        self.registry.released.set()
        self.follower.stop()
        self.files.close()


def pass_of(served: ServedModel) -> RoutedPass:
    """Return a table's pass."""
    assert isinstance(served.row_pass, RoutedPass)
    return served.row_pass
