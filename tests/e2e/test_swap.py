"""The whole job under load, as a user runs it: the model is swapped while events stream, and the account is exact."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from confluent_kafka import Producer
from jsonschema import Draft202012Validator
from kafka import KafkaConsumer, TopicPartition
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from pyspark.sql import SparkSession

from schemas.dead_letter import ERROR_OFFSET, ERROR_PARTITION
from schemas.prediction import MODEL_VERSION, SOURCE_OFFSET, SOURCE_PARTITION
from streaming.local.processes import free_port
from tests.support.commands import ROOT, command, environment
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline, write_golden

PARTITIONS = 2
EVENTS_PER_SECOND = 200
MODEL_EVENT = Draft202012Validator(json.loads((ROOT / "schemas" / "contracts" / "model_event.json").read_text()))
PATIENCE = 180.0
SECRET = "a shared secret"
ALIAS_MOVED = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)


@dataclass
class Load:
    """Publishes events at a steady rate, every 50th of them broken, from a thread of its own until told to stop."""

    servers: str
    topic: str
    sent: dict[tuple[int, int], float | None] = field(default_factory=dict)
    """Source position to the event's distance; ``None`` for a broken one."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._producer = Producer({"bootstrap.servers": self.servers, "acks": "all", "linger.ms": 5})

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(30) == 0

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            for _ in range(EVENTS_PER_SECOND // 20):
                number += 1
                self._send(number)

    def _send(self, number: int) -> None:
        distance = 90.0 if number % 3 else 10.0
        event = {"event_id": f"e{number}", "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "distance": distance}
        value = b'{"event_id": ' if number % 50 == 0 else json.dumps(event).encode()

        def delivered(problem: object, message: Any) -> None:
            assert problem is None
            self.sent[message.partition(), message.offset()] = None if number % 50 == 0 else distance

        self._producer.produce(self.topic, value, f"k{number % 20}", on_delivery=delivered)
        self._producer.poll(0)


class Subscriber:
    """An independent client that reads committed records, of another make than the job's own."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False, group_id=None
        )
        assigned = [TopicPartition(topic, p) for p in range(partitions)]
        self._consumer.assign(assigned)
        self._consumer.seek_to_beginning(*assigned)
        self.records: list[Any] = []

    def read(self) -> list[Any]:
        """Return all there is so far."""
        for batch in self._consumer.poll(timeout_ms=200, max_records=10_000).values():
            self.records += batch
        return self.records

    def close(self) -> None:
        self._consumer.close()


@dataclass
class Job:
    """``penstock score`` in a process of its own, with its settings in a file."""

    servers: str
    topic: str
    team: Team
    home: Path
    poll_seconds: float

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.home.mkdir(exist_ok=True)
        settings = {
            "application": self.topic,
            "kafka": {"bootstrap.servers": self.servers},
            "input": {"topic": self.topic},
            "output": {
                "predictions": f"{self.topic}.out",
                "model_events": f"{self.topic}.models",
                "ledger": f"{self.topic}.ledger",
            },
            "model": {
                "name": self.team.model,
                "tracking_uri": self.team.uri,
                "poll_seconds": self.poll_seconds,
                "cache_dir": str(self.home / "models"),
            },
            "engine": {"checkpoint": str(self.home / "checkpoint")},
            "http": {"port": int(self.url.rpartition(":")[2]), "webhook_secret": SECRET},
            "log": {"format": "json"},
            "spark": {"master": "local[2,4]"},
        }
        (self.home / "penstock.yaml").write_text(yaml.safe_dump(settings))
        self.log = (self.home / "log").open("ab")

    def start(self) -> None:
        self.process = subprocess.Popen(
            command("score", "--config", str(self.home / "penstock.yaml")),
            cwd=ROOT,
            env=environment(),
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        eventually(self._ready, timeout=PATIENCE, every=0.5)

    def _ready(self) -> bool:
        assert self.process.poll() is None, (self.home / "log").read_text()[-5_000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End it and all it started at once, as a lost machine would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.log.close()


@pytest.fixture(scope="module")
def models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two pipelines that say the opposite of each other, so that a prediction shows which one made it."""
    folder = tmp_path_factory.mktemp("saved")
    return {name: save_pipeline(spark, folder / name, slope) for name, slope in (("up", 1.0), ("down", -1.0))}


@dataclass
class Scene:
    """Everything for one test."""

    team: Team
    job: Job
    load: Load
    predictions: Subscriber
    dead_letters: Subscriber
    events: Subscriber

    def versions(self) -> set[int]:
        return {version_of(record) for record in self.predictions.read()}

    def model_events(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in self.events.read()]

    def refused(self, version: int) -> bool:
        return any(e["type"] == "refusal" and e["to_version"] == version for e in self.model_events())


@pytest.fixture
def scene(
    broker: str,
    make_topic: MakeTopic,
    tracking_server: str,
    models: dict[str, Path],
    tmp_path: Path,
    poll_seconds: float,
) -> Iterator[Scene]:
    """A job that serves v1, with its topics; nothing is published yet."""
    topic = make_topic("features", partitions=PARTITIONS, retention_ms=-1)
    team = Team(tracking_server, models["up"], tmp_path)
    assert team.publish() == 1
    job = Job(broker, topic, team, tmp_path / "job", poll_seconds)
    job.start()
    subscribers = [
        Subscriber(broker, name, partitions)
        for name, partitions in ((f"{topic}.out", PARTITIONS), (f"{topic}.dlq", PARTITIONS), (f"{topic}.models", 1))
    ]
    yield Scene(team, job, Load(broker, topic), *subscribers)
    for subscriber in subscribers:
        subscriber.close()
    job.close()


def version_of(record: Any) -> int:
    return int(dict(record.headers)[MODEL_VERSION])


def position(record: Any, partition: str, offset: str) -> tuple[int, int]:
    headers = dict(record.headers)
    return int(headers[partition]), int(headers[offset])


def assert_exact(scene: Scene, last: int) -> None:
    """Every event is in exactly one output, scored by one version whose own answer it is, versions in order."""
    sent = scene.load.sent

    def all_answered() -> bool:
        return len(scene.predictions.read()) + len(scene.dead_letters.read()) >= len(sent)

    eventually(all_answered, timeout=PATIENCE)
    assert scene.job.stop() == 0
    scored = {position(r, SOURCE_PARTITION, SOURCE_OFFSET): r for r in scene.predictions.read()}
    letters = {position(r, ERROR_PARTITION, ERROR_OFFSET) for r in scene.dead_letters.read()}
    assert len(scored) == len(scene.predictions.records), "an event was scored twice"
    assert len(letters) == len(scene.dead_letters.records), "an event was refused twice"
    assert set(scored) == {place for place, distance in sent.items() if distance is not None}
    assert letters == {place for place, distance in sent.items() if distance is None}
    for place, record in scored.items():
        value = json.loads(record.value)
        assert value["model_version"] == version_of(record)
        far = (sent[place] or 0) > 50
        assert value["prediction"] == float(far if version_of(record) == 1 else not far)
    for partition in range(PARTITIONS):
        versions = [version_of(record) for (p, _), record in sorted(scored.items()) if p == partition]
        assert versions == sorted(versions)
        assert set(versions) == {1, last}


@pytest.mark.parametrize("poll_seconds", [3600.0], ids=["woken by webhooks"])
def test_a_swap_under_load_loses_doubles_and_mixes_nothing(scene: Scene, models: dict[str, Path]) -> None:
    door = f"{scene.job.url}/webhooks/mlflow"
    hook = scene.team.client.create_webhook(scene.team.model, door, [ALIAS_MOVED], secret=SECRET)
    with scene.load:
        eventually(lambda: scene.versions() == {1}, timeout=PATIENCE)
        broken = scene.team.publish(lambda tree: write_golden(tree, 0.0))
        eventually(lambda: scene.refused(broken), timeout=PATIENCE)
        scene.team.saved = models["down"]
        better = scene.team.publish()
        eventually(lambda: better in scene.versions(), timeout=PATIENCE)
        enough = len(scene.predictions.records) + EVENTS_PER_SECOND
        eventually(lambda: len(scene.predictions.read()) > enough, timeout=PATIENCE)
    scene.team.client.delete_webhook(hook.webhook_id)
    assert_exact(scene, better)
    told = scene.model_events()
    assert [(e["type"], e["from_version"], e["to_version"], e["reason"]) for e in told] == [
        ("swap", None, 1, None),
        ("refusal", 1, broken, "GOLDEN_ROW_FAILED"),
        ("swap", 1, better, None),
    ]
    for event in told:
        MODEL_EVENT.validate(event)


@pytest.mark.parametrize("poll_seconds", [0.5], ids=["polling"])
def test_a_job_killed_while_it_swaps_loses_doubles_and_mixes_nothing(scene: Scene, models: dict[str, Path]) -> None:
    with scene.load:
        eventually(lambda: scene.versions() == {1}, timeout=PATIENCE)
        scene.team.saved = models["down"]
        better = scene.team.publish()
        eventually(lambda: better in scene.versions(), timeout=PATIENCE, every=0.01)
        scene.job.kill()
        scene.job.start()
        enough = len(scene.predictions.read()) + EVENTS_PER_SECOND
        eventually(lambda: len(scene.predictions.read()) > enough, timeout=PATIENCE)
    assert_exact(scene, better)
