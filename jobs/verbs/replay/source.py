"""What a replay reads: a recording, or a topic. Kafka is asked only where it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.scan import KafkaScan
from streaming.backtest.disagreements import Position
from streaming.errors import ConfigurationError, DataError
from streaming.offsets import Ranges
from streaming.replay.frames import Frames, KafkaFrames, RecordingFrames
from streaming.replay.pace import ArrayTimeline, Timeline
from streaming.replay.recording import Recording, open_recording
from streaming.settings import Settings


class Source(Protocol):
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

    def values(self, places: Sequence[Position]) -> Mapping[Position, bytes | None]:
        """Return the values of a few records; those that are gone are left out."""
        ...


@dataclass(frozen=True)
class RecordingSource:
    """A recording, whole."""

    recording: Recording

    @property
    def topic(self) -> str:
        """See :class:`Source`."""
        return self.recording.topic

    @property
    def topic_id(self) -> str:
        """See :class:`Source`."""
        return self.recording.topic_id

    def __str__(self) -> str:
        """See :class:`Source`."""
        return f"recording {self.recording.digest[:16]} of {self.topic}"

    def ranges(self) -> Ranges:
        """See :class:`Source`."""
        return self.recording.ranges

    def frames(self, session: SparkSession) -> Frames:
        """See :class:`Source`."""
        return RecordingFrames(session, self.recording)

    def timeline(self) -> Timeline:
        """See :class:`Source`."""
        columns = {}
        for partition in self.recording.parts:
            table = pq.read_table(self.recording.path(partition), columns=["offset", "timestamp"])
            columns[partition] = table["offset"].to_numpy(), table["timestamp"].to_numpy()
        return ArrayTimeline(columns)

    def recent(self, count: int) -> Sequence[bytes]:
        """See :class:`Source`."""
        return self.recording.recent(count)

    def values(self, places: Sequence[Position]) -> Mapping[Position, bytes | None]:
        """See :class:`Source`."""
        found: dict[Position, bytes | None] = {}
        for partition in {place.partition for place in places}:
            wanted = [("offset", "in", [place.offset for place in places if place.partition == partition])]
            table = pq.read_table(self.recording.path(partition), columns=["offset", "value"], filters=wanted)
            offsets, values = table["offset"].to_pylist(), table["value"].to_pylist()
            found |= {Position(partition, offset): value for offset, value in zip(offsets, values, strict=True)}
        return found


@dataclass(frozen=True)
class TopicSource:
    """A part of a topic as it stands on the broker."""

    settings: Settings
    scan: KafkaScan
    info: TopicInfo
    stretch: Stretch

    @property
    def topic(self) -> str:
        """See :class:`Source`."""
        return self.info.name

    @property
    def topic_id(self) -> str:
        """See :class:`Source`."""
        return self.info.id

    def __str__(self) -> str:
        """See :class:`Source`."""
        return f"topic {self.topic} ({self.topic_id}), {self.stretch}"

    def ranges(self) -> Ranges:
        """See :class:`Source`."""
        return self.stretch.ranges(self.settings, self.scan, self.info)

    def frames(self, session: SparkSession) -> Frames:
        """See :class:`Source`."""
        return KafkaFrames(session, spark_options(self.settings.kafka), self.topic)

    def timeline(self) -> Timeline:
        """See :class:`Source`."""
        return KafkaStretch(self.scan, self.topic)

    def recent(self, count: int) -> Sequence[bytes]:
        """See :class:`Source`."""
        return KafkaAdmin(self.settings.kafka, self.settings.application).recent(self.topic, count)

    def values(self, places: Sequence[Position]) -> Mapping[Position, bytes | None]:
        """See :class:`Source`."""
        found: dict[Position, bytes | None] = {}
        for place in places:
            for record in self.scan.records(self.topic, place.partition, place.offset, place.offset + 1):
                found[place] = record.value
        return found


_ALL = Stretch()


@dataclass(frozen=True)
class SourceWords:
    """The command line's words: a recording's folder, or a topic (the input by default) and a stretch of it."""

    recording: Path | None = None
    topic: str | None = None
    stretch: Stretch = _ALL

    def open(self, settings: Settings, scan: KafkaScan) -> Source:
        """Return what they mean.

        Raises:
            ConfigurationError: both are named, or it is not there.
            DataError: the recording is damaged.
        """
        self.stretch.span()
        if self.recording is None:
            topic = KafkaAdmin(settings.kafka, settings.application).required_topic(self.topic or settings.input.topic)
            return TopicSource(settings, scan, topic, self.stretch)
        if self.topic or self.stretch != _ALL:
            raise ConfigurationError("a recording is replayed whole; leave out which part of a topic")
        return RecordingSource(open_recording(self.recording))


def known_topic_id(source: Source) -> str:
    """Return which topic's ledger is meant; raises ``DataError`` for records that were never on a topic."""
    if not source.topic_id:
        raise DataError(f"{source} was made from a file; no version has served it, so choose one with --model-version")
    return source.topic_id
