"""A chunk's records as a frame with the columns of Spark's Kafka source: from Kafka itself, or from a recording."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.events.rules import is_at
from streaming.hadoop_paths import to_read
from streaming.offsets import OffsetRange, Ranges
from streaming.replay.recording import Recording

_SCHEMA = """
    topic STRING, partition INT, offset BIGINT, timestamp BIGINT, key BINARY, value BINARY,
    headers ARRAY<STRUCT<key: STRING, value: BINARY>>
"""


class Frames(Protocol):
    """Source of records; those of a partition are in order."""

    def read(self, ranges: Ranges) -> DataFrame:
        """Return the records of ``ranges``, which are not empty."""
        ...


def without(records: DataFrame, positions: Iterable[tuple[int, int]]) -> DataFrame:
    """Return records but those at these partitions and offsets."""
    return records.where(~is_at(positions, "partition", "offset"))


@dataclass(frozen=True)
class KafkaFrames:
    """Reads a topic, one task a partition; ``options`` are those of Spark's Kafka source."""

    session: SparkSession
    options: Mapping[str, str]
    topic: str

    def read(self, ranges: Ranges) -> DataFrame:
        """See :class:`Frames`; Spark fails if records of a range are gone."""
        fixed = {
            "assign": json.dumps({self.topic: list(ranges)}),
            "startingOffsets": json.dumps({self.topic: {str(p): part.start for p, part in ranges.items()}}),
            "endingOffsets": json.dumps({self.topic: {str(p): part.end for p, part in ranges.items()}}),
            "includeHeaders": "true",
            "failOnDataLoss": "true",
            # An event of an aborted transaction was never sent.
            "kafka.isolation.level": "read_committed",
        }
        return self.session.read.format("kafka").options(**{**self.options, **fixed}).load()


@dataclass(frozen=True)
class RecordingFrames:
    """Reads a recording, in a folder that driver and executors share.

    One Spark task may read several partitions, one after the other; the transactional writer needs one at a time.
    """

    session: SparkSession
    recording: Recording

    def read(self, ranges: Ranges) -> DataFrame:
        """See :class:`Frames`."""
        frames = [self._partition(partition, part) for partition, part in ranges.items()]
        return reduce(DataFrame.union, frames).withColumn("timestamp", F.timestamp_millis("timestamp"))

    def _partition(self, partition: int, part: OffsetRange) -> DataFrame:
        """Read one file as one task; the sort is for a file so large that Spark reads it in several pieces."""
        path = to_read(self.recording.path(partition).resolve())
        rows = self.session.read.schema(_SCHEMA).parquet(path)
        selected = rows.where((F.col("offset") >= part.start) & (F.col("offset") < part.end))
        return selected.coalesce(1).sortWithinPartitions("offset")
