"""Destinations of a replay: what they make, what they refuse to touch, and how far the replay has got."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streaming.clock import Clock
from streaming.errors import ConfigurationError
from streaming.replay.chunks import Segments
from streaming.replay.plan import ReplayPlan
from streaming.replay.sinks import ParquetSink, ReplaySink

PLAN = "_replay.json"
"""Beside the chunks of a folder of Parquet; readers of Parquet leave it out."""


class Destination(Protocol):
    """A place to replay to."""

    def __str__(self) -> str:
        """Return what kind of place it is."""
        ...

    @property
    def plan_file(self) -> Path:
        """The file that says what is replayed to this destination."""
        ...

    def check(self, source: str, /) -> None:
        """Raise ``ConfigurationError`` if this is no place to replay the topic ``source`` to."""
        ...

    def open(self, plan: ReplayPlan, source: str, clock: Clock) -> tuple[ReplaySink, Segments]:
        """Make what is missing; return the sink, and what is left to be written to it.

        Raises:
            ConfigurationError: something else was replayed to it.
            BrokerUnavailableError: Kafka does not answer.
        """
        ...


@dataclass(frozen=True)
class FolderDestination:
    """A folder of Parquet that is not there yet, or that an earlier run of the same replay has made."""

    folder: Path

    def __str__(self) -> str:
        """See :class:`Destination`."""
        return "Parquet"

    @property
    def plan_file(self) -> Path:
        """See :class:`Destination`."""
        return self.folder / PLAN

    def check(self, _: str, /) -> None:
        """See :class:`Destination`."""
        if self.plan_file.exists() or not self.folder.exists():
            return
        # A run that died at once leaves its lock.
        if any(not entry.name.startswith(".") for entry in self.folder.iterdir()):
            raise ConfigurationError(f"{self.folder} is there already and holds no replay; name another folder")

    def open(self, plan: ReplayPlan, source: str, clock: Clock) -> tuple[ReplaySink, Segments]:
        """See :class:`Destination`; the sink knows itself which chunks it has."""
        return ParquetSink(self.folder, source, clock), plan.segments


def replayed_files(folder: Path) -> list[Path]:
    """Return the files that a replay wrote to ``folder``; raises ``ConfigurationError`` if there are none."""
    files = sorted(folder.glob("chunk-*/*.parquet"))
    if not files:
        raise ConfigurationError(f"{folder} holds no replay; penstock replay --out makes one")
    return files
