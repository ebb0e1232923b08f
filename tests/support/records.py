"""Values as the rows that Spark's Kafka source would give."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession

from schemas.dead_letter import Rejection
from streaming.events import columns as c

SCHEMA = (
    "key binary, value binary, headers array<struct<key string, value binary>>, partition int, offset long,"
    " timestamp timestamp"
)


def records_frame(spark: SparkSession, values: Iterable[bytes | None]) -> DataFrame:
    """Records of partition 0 with these values, at the offsets 0, 1, 2 and so on."""
    moment = datetime(2013, 7, 1)  # noqa: DTZ001 - Spark's timestamps are naive, in the session's UTC
    return spark.createDataFrame([(b"k", value, None, 0, at, moment) for at, value in enumerate(values)], SCHEMA)


def bits(value: Any) -> Any:
    """Return a value so that two are equal only if they are to the bit: -0.0 is not 0.0, and 1 is not true."""
    return struct.pack(">d", value) if isinstance(value, float) else (type(value), value)


def verdict_text(row: Row) -> str | None:
    """A row's verdict as people read it, ``REASON`` or ``REASON:field``; ``None`` if the event is valid."""
    return None if row[c.VERDICT] is None else str(Rejection(*row[c.VERDICT]))
