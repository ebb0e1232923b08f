"""The fixtures that other tests stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer

from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_the_broker_gives_back_what_a_transaction_committed_and_nothing_it_aborted(
    broker: str, make_topic: MakeTopic
) -> None:
    topic = make_topic("ladder", partitions=1)
    producer = Producer({"bootstrap.servers": broker, "transactional.id": topic})
    producer.init_transactions(30)
    for value, commit in ((b"aborted", False), (b"committed", True)):
        producer.begin_transaction()
        producer.produce(topic, value, key=b"k")
        if commit:
            producer.commit_transaction(30)
        else:
            producer.flush(30)
            producer.abort_transaction(30)

    consumer = Consumer({"bootstrap.servers": broker, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        message = eventually(lambda: consumer.poll(1.0))
        assert message.value() == b"committed"
        assert consumer.poll(0.5) is None
    finally:
        consumer.close()


def test_spark_reads_the_broker_with_the_connector_jars(
    spark: SparkSession, broker: str, make_topic: MakeTopic
) -> None:
    topic = make_topic("spark", partitions=2)
    producer = Producer({"bootstrap.servers": broker})
    for number in range(10):
        producer.produce(topic, str(number).encode())
    producer.flush(30)

    rows = spark.read.format("kafka").option("kafka.bootstrap.servers", broker).option("subscribe", topic).load()

    assert sorted(int(row.value) for row in rows.select(rows.value.cast("string").alias("value")).collect()) == list(
        range(10)
    )
