"""A real driver that is killed as soon as it has done anything gets on all the same, as each start begins small."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from streaming.accounting.subscriber import Subscriber
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.engines.ramp import FIRST
from tests.support.engine import event
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job, Outputs
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline

PARTITIONS = 2
EVENTS = 100_000
"""One batch could take them all."""


@pytest.fixture
def job(broker: str, make_topic: MakeTopic, tracking_server: str, spark: SparkSession, tmp_path: Path) -> Iterator[Job]:
    topic = make_topic("features", partitions=PARTITIONS, retention_ms=-1)
    admin = KafkaAdmin({"bootstrap.servers": broker}, "any")
    for suffix, partitions in ((".out", PARTITIONS), (".dlq", PARTITIONS), (".ledger", 1)):
        admin.ensure_topic(topic + suffix, partitions, {"retention.ms": "-1"})
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 50})
    for number in range(EVENTS):
        producer.produce(topic, event(number), partition=number % PARTITIONS)
        producer.poll(0)
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "up"), tmp_path)
    assert team.publish() == 1
    assert producer.flush(60) == 0
    made = Job(broker, topic, team, tmp_path / "driver")
    yield made
    made.close()


@pytest.mark.long
def test_a_driver_that_is_killed_again_and_again_gets_on(job: Job) -> None:
    outputs = Outputs(job.servers, job.topic)
    ledger = Subscriber(job.servers, f"{job.topic}.ledger")
    done = [0]
    for _ in range(2):
        job.spawn()
        eventually(lambda: outputs.count() > done[-1], timeout=PATIENCE, every=0.02)
        job.kill()
        done.append(outputs.count())
    records = [json.loads(record.value) for record in ledger.read()]
    places = outputs.places()
    outputs.close()
    ledger.close()
    sizes = [sum(end - start for start, end in r["ranges"].values()) for r in records if r["type"] == "plan"]
    assert sizes[0] == FIRST
    assert 0 < done[1] < done[2] < EVENTS, "each life has done something, and none had the time for all"
    assert len(places) == len(set(places))
