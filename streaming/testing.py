"""Fakes that are shipped, so that users can test what they build around Penstock without a registry or waiting."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from streaming.errors import ModelNotFoundError, RegistryUnavailableError
from streaming.models.ref import ModelSelector, ModelVersion


class ManualClock:
    """A :data:`streaming.clock.Clock` that moves only on request."""

    def __init__(self, start: datetime = datetime(2013, 1, 1, tzinfo=timezone.utc)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Return the time it shows."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._now += timedelta(seconds=seconds)


@dataclass
class FakeRegistry:
    """A :class:`streaming.models.registry.ModelRegistry` in memory, over folders on disk.

    Set ``down`` to make every call fail as if the registry did not answer; ``downloads`` lists what was fetched.
    """

    name: str = "flights"
    down: bool = False
    downloads: list[int] = field(default_factory=list)
    _versions: dict[int, tuple[ModelVersion, Path]] = field(default_factory=dict)
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def register(self, files: Path, *, tags: dict[str, str] | None = None, stage: str = "None") -> ModelVersion:
        """Register the folder ``files``, which is read at each download, as the next version."""
        with self._guard:
            number = max(self._versions, default=0) + 1
            version = ModelVersion(self.name, number, run_id=f"run{number}", tags=tags or {}, stage=stage)
            self._versions[number] = (version, files)
            return version

    def point(self, alias: str, version: int | None) -> None:
        """Move an alias; ``None`` deletes it."""
        with self._guard:
            for number, (registered, files) in self._versions.items():
                aliases = tuple(a for a in registered.aliases if a != alias) + ((alias,) if number == version else ())
                self._versions[number] = (replace(registered, aliases=aliases), files)

    def change(self, version: ModelVersion) -> None:
        """Replace what is known of a version: its tags, stage or status."""
        with self._guard:
            self._versions[version.version] = (version, self._versions[version.version][1])

    def resolve(self, selector: ModelSelector) -> ModelVersion:
        """Return the highest version that fits; raises as the Protocol says."""
        with self._guard:
            self._answer()
            fitting = [v for v, _ in self._versions.values() if v.name == selector.name and _fits(v, selector)]
            if not fitting:
                raise ModelNotFoundError(f"{selector} names no version")
            return max(fitting, key=lambda v: v.version)

    def get(self, name: str, version: int) -> ModelVersion:
        """Return one version by number; raises as the Protocol says."""
        return self.resolve(ModelSelector(name, "version", str(version)))

    def download(self, version: ModelVersion, target: Path) -> None:
        """Copy the version's folder; raises as the Protocol says."""
        with self._guard:
            self._answer()
            self.downloads.append(version.version)
            files = self._versions[version.version][1]
        shutil.copytree(files, target, dirs_exist_ok=True)

    def _answer(self) -> None:
        if self.down:
            raise RegistryUnavailableError("the registry does not answer")


def _fits(version: ModelVersion, selector: ModelSelector) -> bool:
    if selector.kind == "alias":
        return selector.value in version.aliases
    if selector.kind == "stage":
        return selector.value == version.stage
    if selector.kind == "tag":
        key, _, value = selector.value.partition("=")
        return version.tags.get(key) == value
    return selector.value == str(version.version)
