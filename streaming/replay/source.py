"""What a replay reads: a recording, or a topic, which ``adapters/kafka/replay_source.py`` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from streaming.backtest.disagreements import PartitionOffset
from streaming.errors import DataError
from streaming.offsets import Ranges
from streaming.replay.frames import Frames, RecordingFrames
from streaming.replay.pace import ArrayTimeline, Timeline
from streaming.replay.recording import Recording


class ReplaySource(Protocol):
    """Records to be replayed. ``topic_id`` is empty where they never were on a topic."""

    @property
    def topic(self) -> str:
        """The topic that they are from."""
        ...

    @property
    def topic_id(self) -> str:
        """Which topic of that name it was."""
        ...

    def __str__(self) -> str:
        """Return words that are the same whenever the records are."""
        ...

    def ranges(self) -> Ranges:
        """Return what there is to replay, now."""
        ...

    def frames(self, session: SparkSession) -> Frames:
        """Return how Spark reads it."""
        ...

    def timeline(self) -> Timeline:
        """Return when it was sent."""
        ...

    def recent(self, count: int) -> Sequence[bytes]:
        """Return some of the values, to compare a version with."""
        ...

    def values(self, positions: Sequence[PartitionOffset]) -> Mapping[PartitionOffset, bytes | None]:
        """Return the values of a few records; those that are gone are left out."""
        ...


@dataclass(frozen=True)
class RecordingSource:
    """A recording, whole."""

    recording: Recording

    @property
    def topic(self) -> str:
        """See :class:`ReplaySource`."""
        return self.recording.topic

    @property
    def topic_id(self) -> str:
        """See :class:`ReplaySource`."""
        return self.recording.topic_id

    def __str__(self) -> str:
        """See :class:`ReplaySource`."""
        return f"recording {self.recording.digest[:16]} of {self.topic}"

    def ranges(self) -> Ranges:
        """See :class:`ReplaySource`."""
        return self.recording.ranges

    def frames(self, session: SparkSession) -> Frames:
        """See :class:`ReplaySource`."""
        return RecordingFrames(session, self.recording)

    def timeline(self) -> Timeline:
        """See :class:`ReplaySource`."""
        columns = {}
        for partition in self.recording.parts:
            table = pq.read_table(self.recording.path(partition), columns=["offset", "timestamp"])
            columns[partition] = table["offset"].to_numpy(), table["timestamp"].to_numpy()
        return ArrayTimeline(columns)

    def recent(self, count: int) -> Sequence[bytes]:
        """See :class:`ReplaySource`."""
        return self.recording.recent(count)

    def values(self, positions: Sequence[PartitionOffset]) -> Mapping[PartitionOffset, bytes | None]:
        """See :class:`ReplaySource`."""
        values_by_position: dict[PartitionOffset, bytes | None] = {}
        for partition in {position.partition for position in positions}:
            filters = [("offset", "in", [position.offset for position in positions if position.partition == partition])]
            table = pq.read_table(self.recording.path(partition), columns=["offset", "value"], filters=filters)
            offsets, values = table["offset"].to_pylist(), table["value"].to_pylist()
            values_by_position |= {
                PartitionOffset(partition, offset): value for offset, value in zip(offsets, values, strict=True)
            }
        return values_by_position


def known_topic_id(source: ReplaySource) -> str:
    """Return which topic's ledger is meant; raises ``DataError`` for records that were never on a topic."""
    if not source.topic_id:
        raise DataError(f"{source} was made from a file; no version has served it, so choose one with --model-version")
    return source.topic_id
