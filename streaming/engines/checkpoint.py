"""Spark's checkpoint, read: which offsets a batch covers. Asking Kafka again could give another answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from pyspark.sql import SparkSession

from streaming.errors import ConfigurationError, DataError
from streaming.offsets import OffsetRange
from streaming.spark.hadoop_files import HadoopFileStore
from streaming.spark.session_settings import CHECKPOINT_MANAGER, PLAIN_CHECKPOINTS, settings_meanwhile

Offsets = dict[int, int]
_FIRST = "sources/0/0"


@dataclass(frozen=True)
class Checkpoint:
    """One query's checkpoint on any file system that Spark can write to; ``topic`` is the query's one source."""

    location: str
    topic: str
    read_text: Callable[[str], str | None]
    """Gives a file's text, ``None`` where there is no such file."""

    def id(self) -> str:
        """Return the checkpoint's own id; a deleted checkpoint comes back with another.

        Raises:
            DataError: there is no checkpoint here; the query has not started.
        """
        return str(json.loads(self._required("metadata"))["id"])

    def exists(self) -> bool:
        """Return whether a query has written here before."""
        return self._read("metadata") is not None

    def topics(self) -> frozenset[str]:
        """Return the topics that its query was started with; none if it never got that far.

        Raises:
            ConfigurationError: it is the checkpoint of something else than a Kafka stream.
        """
        text = self._read(_FIRST)
        try:
            return frozenset() if text is None else frozenset(dict(json.loads(text.strip().splitlines()[-1])))
        except (ValueError, TypeError, IndexError) as problem:
            raise ConfigurationError(
                f"the checkpoint {self.location} is not of a stream from Kafka; name another place for this one's"
            ) from problem

    def require_own(self, topics: Mapping[str, str], setting: str) -> None:
        """See to it that a query of these topics may go on from here.

        Args:
            topics: setting to topic.
            setting: names this checkpoint.

        Raises:
            ConfigurationError: it is the checkpoint of other topics.
        """
        there = self.topics()
        others = [f"{name} is {topic!r}" for name, topic in topics.items() if topic not in there]
        if there and others:
            raise ConfigurationError(
                f"the checkpoint {self.location} belongs to a query of {', '.join(map(repr, sorted(there)))}, but"
                f" {' and '.join(others)}. Set {setting} to another place, or move the checkpoint away if it is of no"
                " more use"
            )

    def first_offsets(self) -> Offsets:
        """Return where the query began, empty if it never got that far."""
        return {} if self._read(_FIRST) is None else self._offsets(_FIRST)

    def ranges(self, batch: int, new: Callable[[list[int]], Mapping[int, int]]) -> dict[int, OffsetRange]:
        """Return the offsets that ``batch`` covers.

        Args:
            batch: the batch's id.
            new: gives the first offset of partitions that the batch before did not have.
        """
        ends = self._offsets(f"offsets/{batch}")
        # No batch came before batch 0. The file of its source says where the query began.
        starts = self._offsets(_FIRST if batch == 0 else f"offsets/{batch - 1}")
        added = [partition for partition in ends if partition not in starts]
        if added:
            starts = {**starts, **new(added)}
        return {partition: OffsetRange(starts[partition], end) for partition, end in sorted(ends.items())}

    def _offsets(self, path: str) -> Offsets:
        """Read the last line: the log puts a version, and for a batch its settings, before the offsets."""
        by_topic = json.loads(self._required(path).strip().splitlines()[-1])
        return {int(partition): int(offset) for partition, offset in by_topic[self.topic].items()}

    def _required(self, path: str) -> str:
        text = self._read(path)
        if text is None:
            raise DataError(f"the checkpoint {self.location} has no {path}; was it changed by hand?")
        return text

    def _read(self, path: str) -> str | None:
        return self.read_text(f"{self.location.rstrip('/')}/{path}")


def local_reader(location: str) -> str | None:
    """Read a file of this machine."""
    path = Path(urlparse(location).path)
    return path.read_text("utf-8") if path.exists() else None


def hadoop_reader(session: SparkSession) -> Callable[[str], str | None]:
    """Return a reader for whatever file system the location's scheme names."""
    files = HadoopFileStore(session)
    return lambda location: files.read(location).decode() if files.exists(location) else None


def set_aside(session: SparkSession, location: str, stamp: str) -> str:
    """Rename a checkpoint to ``<location>.set-aside-<stamp>``, so that the next query begins one; return the new name.

    Raises:
        DataError: the file system refused.
    """
    renamed = f"{location.rstrip('/')}.set-aside-{stamp}"
    if not HadoopFileStore(session).rename(location, renamed):
        raise DataError(f"the checkpoint {location} cannot be renamed to {renamed}; move it away and start again")
    return renamed


def remove(location: str) -> None:
    """Remove a checkpoint, or a folder of them, that is of no more use; on this machine's disks only."""
    if _is_local(location):
        shutil.rmtree(urlparse(location).path, ignore_errors=True)


def written_plainly(session: SparkSession, location: str) -> AbstractContextManager[None]:
    """Let queries started meanwhile write a checkpoint on this machine's disks with fewer processes.

    Without its native library Hadoop starts a process for each permission that it sets and each link that it looks for:
    ten for a file by Spark's default manager, two by the other, one of them for a checksum in a file of its own, and
    none if the other manager has Hadoop's plain file system. All of them rename a finished file into place.

    Nothing changes if the user has said which manager to take. Only the query's copy of the session's settings keeps
    ours: whatever else looks for a place on local disks (copying to a store, S3's upload buffers) takes the plain file
    system for the other one, and fails.
    """
    is_ours = _is_local(location) and session.conf.get(CHECKPOINT_MANAGER, None) is None
    return settings_meanwhile(session, PLAIN_CHECKPOINTS if is_ours else {})


def _is_local(location: str) -> bool:
    return urlparse(location).scheme in ("", "file")


def local_checkpoint(location: str, topic: str) -> Checkpoint | None:
    """Return a checkpoint that can be read before Spark runs, as it is on this machine's disks; ``None`` elsewhere."""
    return Checkpoint(location, topic, local_reader) if _is_local(location) else None


def reader_for(session: SparkSession, location: str) -> Callable[[str], str | None]:
    """Return the quickest reader for a checkpoint: this machine's files need no detour through the JVM."""
    return local_reader if _is_local(location) else hadoop_reader(session)
