"""The stream of records from Kafka, with the options that exactly-once depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from streaming.offsets import Ranges


def read_stream(
    session: SparkSession, options: Mapping[str, str], topic: str, starting: Mapping[int, int], rows_per_batch: int
) -> DataFrame:
    """Return the stream; a checkpoint's offsets win over ``starting``.

    One Spark task reads one partition, in order, so ``minPartitions`` must not be among the options.
    """
    fixed = {**_fixed(topic, starting), "maxOffsetsPerTrigger": str(rows_per_batch)}
    return session.readStream.format("kafka").options(**{**options, **fixed}).load()


def read_real_time(
    session: SparkSession, options: Mapping[str, str], topic: str, starting: Mapping[int, int]
) -> DataFrame:
    """Return the same stream for a real-time query, which takes records as they come and so knows no batch size."""
    return session.readStream.format("kafka").options(**{**options, **_fixed(topic, starting)}).load()


def read_range(session: SparkSession, options: Mapping[str, str], topic: str, ranges: Ranges) -> DataFrame:
    """Return the records of some offsets as a table, one Spark partition for each of the topic's."""
    ends = json.dumps({topic: {str(p): part.end for p, part in ranges.items()}})
    fixed = {**_fixed(topic, {p: part.start for p, part in ranges.items()}), "endingOffsets": ends}
    return session.read.format("kafka").options(**{**options, **fixed}).load()


def _fixed(topic: str, starting: Mapping[int, int]) -> dict[str, str]:
    return {
        "subscribe": topic,
        "startingOffsets": json.dumps({topic: {str(p): offset for p, offset in starting.items()}}),
        "includeHeaders": "true",
        "failOnDataLoss": "true",
        # An event of an aborted transaction was never sent.
        "kafka.isolation.level": "read_committed",
    }
