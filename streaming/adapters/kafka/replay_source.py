"""A part of a topic that a replay reads; Kafka is asked only where it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import SparkSession

from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.scan import KafkaScan
from streaming.backtest.disagreements import PartitionOffset
from streaming.offsets import Ranges
from streaming.replay.frames import Frames, KafkaFrames
from streaming.replay.pace import Timeline


@dataclass(frozen=True)
class TopicSource:
    """A part of a topic as it stands on the broker.

    ``part`` is the part in words that are the same whenever it is; ``find_ranges`` gives its offsets as of now.
    """

    kafka: Mapping[str, str] = field(repr=False)
    admin: KafkaAdmin
    scan: KafkaScan
    info: TopicInfo
    part: str
    find_ranges: Callable[[], Ranges]

    @property
    def topic(self) -> str:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return self.info.name

    @property
    def topic_id(self) -> str:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return self.info.id

    def __str__(self) -> str:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return f"topic {self.topic} ({self.topic_id}), {self.part}"

    def ranges(self) -> Ranges:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return self.find_ranges()

    def frames(self, session: SparkSession) -> Frames:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return KafkaFrames(session, spark_options(self.kafka), self.topic)

    def timeline(self) -> Timeline:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return KafkaStretch(self.scan, self.topic)

    def recent(self, count: int) -> Sequence[bytes]:
        """See :class:`streaming.replay.source.ReplaySource`."""
        return self.admin.recent(self.topic, count)

    def values(self, positions: Sequence[PartitionOffset]) -> Mapping[PartitionOffset, bytes | None]:
        """See :class:`streaming.replay.source.ReplaySource`."""
        value_at: dict[PartitionOffset, bytes | None] = {}
        for position in positions:
            for record in self.scan.records(self.topic, position.partition, position.offset, position.offset + 1):
                value_at[position] = record.value
        return value_at
