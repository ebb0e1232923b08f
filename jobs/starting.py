"""Where the query starts, decided anew before each start, and the start itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.topics import rows_per_batch
from streaming.adapters.kafka import KafkaAdmin
from streaming.adapters.kafka_claim import Claim
from streaming.adapters.kafka_config import client_config, spark_options
from streaming.delivery.ledger import Ledger
from streaming.delivery.marks import Writer
from streaming.delivery.plan import Limits
from streaming.engines.checkpoint import Checkpoint
from streaming.engines.source import read_stream
from streaming.engines.start import Start, decide_start
from streaming.engines.supervisor import BatchFunction, StartQuery
from streaming.settings import Settings

_SAMPLE = 200


@dataclass(frozen=True)
class Footing:
    """What a start is decided by: who writes, what is committed and recorded, what Spark's checkpoint says."""

    settings: Settings
    admin: KafkaAdmin
    spark: SparkSession
    writer: Writer
    ledger: Ledger
    checkpoint: Checkpoint


def query_starter(on: Footing) -> StartQuery:
    """Return what starts the query: the first time, and each time the supervisor starts it again."""
    settings, topic = on.settings, on.writer.topic
    rows = rows_per_batch(settings.input, on.admin.recent(topic, _SAMPLE))
    # Before any mark is read: none of an earlier driver's tasks, asleep somewhere, may move it afterwards.
    limits = Limits(settings.engine.transaction_max_bytes, settings.engine.transaction_timeout_ms)
    claim = Claim(client_config(settings.kafka), on.writer, limits)
    claim.partitions(range(on.admin.required_topic(topic).partitions))

    def start_query(batch: BatchFunction) -> StreamingQuery:
        start = _decide(on)
        if start.new_marks:
            on.ledger.record_start(start.new_marks)
        frame = read_stream(on.spark, spark_options(settings.kafka), topic, start.offsets, rows)
        writing = frame.writeStream.queryName(settings.application).foreachBatch(batch)
        every = f"{settings.engine.trigger_ms} milliseconds"
        return writing.option("checkpointLocation", on.checkpoint.location).trigger(processingTime=every).start()

    return start_query


def _decide(on: Footing) -> Start:
    topic, admin = on.writer.topic, on.admin
    partitions = range(admin.required_topic(topic).partitions)
    marks = admin.marks(topic, partitions)
    where = on.settings.input.starting
    return decide_start(on.writer, marks, on.checkpoint.exists(), lambda: admin.offsets(topic, partitions, where))


def absolute(location: str) -> str:
    """Return a checkpoint's location as a URI, a plain path being this machine's."""
    return location if urlparse(location).scheme else Path(location).resolve().as_uri()
