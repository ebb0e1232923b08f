"""An idle query rests: it hardly asks Kafka anything, and misses nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.newcomers import KafkaNewcomers
from streaming.engines.rest import Rest
from streaming.engines.source import read_stream
from tests.support.engine import Bench, event
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.serving import serving

NEVER = 60.0
"""Seconds; longer than any test waits for a record."""
_AT_REST = 8
"""Requests a second; a query that never rests sends hundreds."""


def asked(spark: SparkSession) -> float:
    """Return how many requests the JVM's admin clients have sent so far; Spark's source asks by one."""
    jvm: Any = spark._jvm
    beans = jvm.java.lang.management.ManagementFactory.getPlatformMBeanServer()
    pattern = jvm.javax.management.ObjectName("kafka.admin.client:type=admin-client-metrics,*")
    clients = _call(spark, beans, "queryNames", pattern, None).toArray()
    return sum(float(_call(spark, beans, "getAttribute", client, "request-total")) for client in clients)


def _call(spark: SparkSession, beans: Any, name: str, *arguments: Any) -> Any:
    """Call the server of beans by its interface, as its class is hidden."""
    jvm: Any = spark._jvm
    gateway: Any = spark.sparkContext._gateway
    interface = jvm.java.lang.Class.forName("javax.management.MBeanServer")
    method = next(m for m in interface.getMethods() if m.getName() == name)
    handed = gateway.new_array(jvm.java.lang.Object, len(arguments))
    for at, argument in enumerate(arguments):
        handed[at] = argument
    return method.invoke(beans, handed)


def rate(spark: SparkSession) -> float:
    """Return the requests a second, over a second."""
    before, began = asked(spark), time.monotonic()
    time.sleep(1)
    return (asked(spark) - before) / (time.monotonic() - began)


def is_answered(bench: Bench, events: int) -> bool:
    return len(bench.read(".out")) == events


@dataclass
class Resting:
    """A query that only notes the rows of each batch."""

    spark: SparkSession
    kafka: dict[str, str]
    topic: str
    query: StreamingQuery
    rows: list[int] = field(default_factory=list)

    def send(self, partition: int = 0) -> None:
        producer = Producer({**self.kafka})
        producer.produce(self.topic, b"x", partition=partition)
        assert producer.flush(30) == 0

    def until_read(self, rows: int) -> None:
        eventually(lambda: sum(self.rows) == rows)

    def until_at_rest(self) -> None:
        eventually(lambda: rate(self.spark) < _AT_REST, every=0)


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    return make_topic("rested", partitions=2, retention_ms=-1)


@contextmanager
def resting(spark: SparkSession, broker: str, topic: str, home: Path, look: float) -> Iterator[Resting]:
    kafka = {"bootstrap.servers": broker}
    rest = Rest(KafkaNewcomers(kafka, KafkaAdmin(kafka, topic), topic, topic), look)
    rows: list[int] = []

    def batch(records: DataFrame, _number: int) -> None:
        rows.append(records.count())

    options = {**spark_options(kafka), "kafka.metadata.max.age.ms": "500"}
    frame = read_stream(spark, options, topic, {0: 0, 1: 0}, 1_000)
    writing = frame.writeStream.foreachBatch(rest.seen(batch)).option("checkpointLocation", str(home / "checkpoint"))
    query = writing.trigger(processingTime="0 milliseconds").start()
    rest.watch(spark, query)
    try:
        yield Resting(spark, kafka, topic, query, rows)
    finally:
        query.stop()


def test_a_query_at_rest_is_woken_by_each_record_and_by_nothing_else(
    spark: SparkSession, broker: str, topic: str, tmp_path: Path
) -> None:
    with resting(spark, broker, topic, tmp_path, NEVER) as job:
        for number in range(1, 3):
            job.until_at_rest()
            job.send(number % 2)
            job.until_read(number)
        job.until_at_rest()
        began = time.monotonic()
        job.query.stop()
        assert time.monotonic() - began < 10


@pytest.mark.long
def test_records_that_come_faster_than_it_rests_are_all_read(
    spark: SparkSession, broker: str, topic: str, tmp_path: Path
) -> None:
    with resting(spark, broker, topic, tmp_path, NEVER) as job:
        for number in range(60):
            job.send(number % 2)
            time.sleep(0.01 * (number % 7))
        job.until_read(60)


def test_a_look_now_and_then_sees_what_no_consumer_is_told_of(
    spark: SparkSession, broker: str, topic: str, tmp_path: Path
) -> None:
    with resting(spark, broker, topic, tmp_path, 1.0) as job:
        job.until_at_rest()
        admin = AdminClient({**job.kafka})
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
        eventually(lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 3)
        job.send(2)
        job.until_read(1)


@pytest.mark.long
def test_an_idle_job_asks_kafka_a_few_times_a_second_however_soon_it_wakes(bench: Bench) -> None:
    with serving(bench) as job:
        for sent in (1, 2):
            bench.send([event(sent)])
            eventually(partial(is_answered, bench, sent), timeout=SLOWEST)
            eventually(lambda: rate(bench.spark) < _AT_REST, every=0)
        assert job.health.ready().ok
    assert job.failed == []
