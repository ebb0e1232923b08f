"""The stream of records from Kafka, with the options that exactly-once depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession


def read_stream(
    session: SparkSession, options: Mapping[str, str], topic: str, starting: Mapping[int, int], rows_per_batch: int
) -> DataFrame:
    """Return the stream; a checkpoint's offsets win over ``starting``.

    One Spark task reads one partition, in order, so ``minPartitions`` must not be among the options.
    """
    fixed = {
        "subscribe": topic,
        "startingOffsets": json.dumps({topic: {str(p): offset for p, offset in starting.items()}}),
        "includeHeaders": "true",
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(rows_per_batch),
        # An event of an aborted transaction was never sent.
        "kafka.isolation.level": "read_committed",
    }
    return session.readStream.format("kafka").options(**{**options, **fixed}).load()
