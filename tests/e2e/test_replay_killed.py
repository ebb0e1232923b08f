"""Record, then replay into a topic and into Parquet, killed on the way and started again, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from streaming.accounting.subscriber import Subscriber, result_of
from tests.support.commands import ROOT, penstock
from tests.support.eventually import eventually
from tests.support.job import Job, version_of
from tests.support.kafka import MakeTopic
from tests.support.runs import KillableRun
from tests.support.team import Team, save_pipeline

EVENTS = 600
FIRST = 1357017300000
MILLISECONDS = 20
"""From one event to the next."""


@dataclass
class Scene:
    """A topic with events, and a model; no live job."""

    job: Job
    target: str
    home: Path

    def run(self, name: str, *arguments: str) -> KillableRun:
        usual = ["replay", "--config", str(self.job.config), "--recording", str(self.home / "recording"), "--json"]
        return KillableRun([*usual, *arguments], self.home / f"{name}.log")


@pytest.fixture
def scene(
    broker: str, make_topic: MakeTopic, tracking_server: str, spark: SparkSession, tmp_path: Path
) -> Iterator[Scene]:
    """Events some milliseconds apart, in two partitions."""
    topic = make_topic("features", partitions=2, retention_ms=-1)
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved"), tmp_path)
    team.publish()
    producer = Producer({"bootstrap.servers": broker})
    for number in range(EVENTS):
        event = {"event_id": f"e{number}", "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "distance": 90.0}
        time = FIRST + number * MILLISECONDS
        producer.produce(topic, json.dumps(event), partition=number % 2, timestamp=time)
    assert producer.flush(30) == 0
    job = Job(broker, topic, team, tmp_path / "job")
    yield Scene(job, make_topic("again", partitions=2, retention_ms=-1), tmp_path)
    job.log.close()
    for left in (ROOT / ".penstock" / "replays").glob(f"*{topic}*"):
        left.unlink()


@pytest.mark.long
def test_replays_that_are_killed_and_started_again_lose_and_repeat_nothing(scene: Scene, broker: str) -> None:
    recording, folder, target = scene.home / "recording", scene.home / "out", scene.target
    done = penstock("record", "-c", str(scene.job.config), "--out", str(recording), "--json", cwd=ROOT)
    assert json.loads(done.stdout)["rows"] == EVENTS, done.stderr

    into_topic = scene.run("topic", "--alias", "champion", "--to-topic", target)
    into_folder = scene.run("folder", "--model-version", "1", "--out", str(folder), "--rows", "60")
    subscriber = Subscriber(broker, target)
    into_topic.start("--speed", "0.25")
    into_folder.start()
    into_folder.kill_when(lambda: any(folder.glob("chunk-*")))
    into_topic.kill_when(lambda: len(subscriber.read()) > 0)
    chunks = len(list(folder.glob("chunk-*")))
    assert 0 < chunks < EVENTS // 60
    written = len(subscriber.read())
    assert 0 < written < EVENTS

    into_folder.start()
    into_topic.start("--speed", "max")
    assert into_folder.finish()["written_before"] >= chunks * 60
    assert into_topic.finish()["predictions"] <= EVENTS - written

    eventually(lambda: len(subscriber.read()) >= EVENTS)
    records = subscriber.records
    places = [result_of(record).place for record in records]
    assert len(places) == len(set(places)) == EVENTS
    assert {version_of(record) for record in records} == {1}
    for partition in (0, 1):
        own = [record for record in records if record.partition == partition]
        assert [result_of(record).place for record in own] == [(partition, offset) for offset in range(EVENTS // 2)]
        moments = [FIRST + (2 * n + partition) * MILLISECONDS for n in range(EVENTS // 2)]
        assert [record.timestamp for record in own] == moments
    subscriber.close()

    rows = [row for file in folder.glob("chunk-*/*.parquet") for row in pq.read_table(file).to_pylist()]
    assert sorted((row["partition"], row["offset"]) for row in rows) == sorted(places)
    assert {(row["model_version"], row["role"], row["prediction"]) for row in rows} == {(1, "replay", 1.0)}
