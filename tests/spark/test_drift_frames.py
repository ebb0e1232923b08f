"""Predictions to counts: the writer's own records are read by the positions of their headers, others by name."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import SparkSession

from schemas import prediction
from streaming.clock import instant
from streaming.delivery.marks import Writer
from streaming.delivery.write_order import Limits, WritePlan
from streaming.drift.frames import Watched, tallies
from streaming.drift.windows import CELLS, Tally
from streaming.models.ref import ModelKey, ModelVersion
from streaming.outputs.envelope import Stamp
from streaming.outputs.headers import Headers
from streaming.outputs.records import records
from streaming.outputs.targets import Target, Targets
from tests.support.written import batch, row

HOUR = 3_600_000
WATCHED = Watched("app", "flights", "out", "dlq")
SENT_AT = datetime(2013, 7, 1)  # noqa: DTZ001 - naive, in the session's UTC
SCHEMA = "topic string, partition int, timestamp timestamp, headers array<struct<key: string, value: binary>>"
EVENT_TIME = "2013-01-01T05:15:00.000Z"
TIME = int(instant(EVENT_TIME).timestamp() * 1000)
COUNTED = Tally("out-3", ModelKey("flights", 4), TIME - TIME % HOUR, TIME, 1, {0: 1, CELLS + 2: 1}, {})
DECOYS: Headers = [
    (prediction.CE_SOURCE, "/penstock/app/another"),
    (prediction.MODEL_VERSION, "99"),
    (prediction.CE_TIME, "1999-01-01T00:00:00.000Z"),
    (prediction.BINS, b"\7\7"),
]


def written() -> Headers:
    targets = Targets(Target("out", 4, 10_000), Target("dlq", 4, 10_000), Target("progress", 1, 10_000))
    stamp = Stamp("features", ModelVersion("flights", 4, "run4"), "champion", EVENT_TIME)
    plan = WritePlan({}, Writer("app", "features", "id", 1), "1.1", stamp, {}, targets, Limits(1, 1))
    (record,) = records(batch(row(7, event_time=EVENT_TIME, bins=b"\0\2")), 0, plan, 3, 0)
    return record[5]


def counted(spark: SparkSession, headers: Headers) -> list[Tally]:
    as_bytes = [(name, word.encode() if isinstance(word, str) else word) for name, word in headers]
    return tallies(spark.createDataFrame([("out", 3, SENT_AT, as_bytes)], SCHEMA), WATCHED, HOUR)


def test_the_writers_headers_are_read_by_position(spark: SparkSession) -> None:
    """A search by name would take a decoy: of two headers of one name the last, and of the bins the first."""
    headers = written()
    assert counted(spark, [*headers[:-1], *DECOYS, headers[-1]]) == [COUNTED]


def test_headers_in_another_order_are_found_by_name(spark: SparkSession) -> None:
    assert counted(spark, written()[::-1]) == [COUNTED]
