"""A scoring job in a process of its own, the load it is put under, and what a subscriber sees of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import Producer
from kafka import KafkaConsumer, TopicPartition

from schemas.dead_letter import ERROR_OFFSET, ERROR_PARTITION
from schemas.prediction import MODEL_VERSION, SOURCE_OFFSET, SOURCE_PARTITION
from streaming.local.processes import free_port
from tests.support.commands import ROOT, command, environment
from tests.support.eventually import eventually
from tests.support.team import Team

PATIENCE = 180.0
WEBHOOK_SECRET = "a shared secret"

Place = tuple[int, int]
"""Partition and offset of an event on the input topic."""


@dataclass
class Load:
    """Publishes events at a steady rate, every 50th of them broken, from a thread of its own until told to stop."""

    servers: str
    topic: str
    per_second: int = 200
    sent: dict[Place, float | None] = field(default_factory=dict)
    """Each event's distance; ``None`` for a broken one."""

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
            for _ in range(self.per_second // 20):
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


class Outputs:
    """Both output topics of a job with default names below its input topic's."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self.predictions = Subscriber(servers, f"{topic}.out", partitions)
        self.dead_letters = Subscriber(servers, f"{topic}.dlq", partitions)

    def count(self) -> int:
        """Return how many events are answered so far."""
        return len(self.predictions.read()) + len(self.dead_letters.read())

    def wait_for(self, count: int) -> None:
        """Wait until so many events are answered."""
        eventually(lambda: self.count() >= count, timeout=PATIENCE)

    def places(self) -> list[Place]:
        """Return which event each output so far answers, repeated ones too."""
        scored = [position(r, SOURCE_PARTITION, SOURCE_OFFSET) for r in self.predictions.read()]
        return scored + [position(r, ERROR_PARTITION, ERROR_OFFSET) for r in self.dead_letters.read()]

    def account(self, sent: Mapping[Place, float | None]) -> dict[Place, Any]:
        """Assert that every event is in exactly one output, the right one; return the predictions by event."""
        scored = {position(r, SOURCE_PARTITION, SOURCE_OFFSET): r for r in self.predictions.read()}
        letters = {position(r, ERROR_PARTITION, ERROR_OFFSET) for r in self.dead_letters.read()}
        assert len(scored) == len(self.predictions.records), "an event was scored twice"
        assert len(letters) == len(self.dead_letters.records), "an event was refused twice"
        assert set(scored) == {place for place, distance in sent.items() if distance is not None}
        assert letters == {place for place, distance in sent.items() if distance is None}
        return scored

    def close(self) -> None:
        self.predictions.close()
        self.dead_letters.close()


@dataclass
class Job:
    """``penstock score`` in a process of its own, with its settings in a file.

    ``changes`` are settings by section, laid over the usual ones.
    """

    servers: str
    topic: str
    team: Team
    home: Path
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.home.mkdir(exist_ok=True)
        self.config = self.home / "penstock.yaml"
        settings = self._usual()
        for section, change in self.changes.items():
            settings[section] = {**settings.get(section, {}), **change}
        self.config.write_text(yaml.safe_dump(settings))
        self.log = (self.home / "log").open("ab")

    def _usual(self) -> dict[str, Any]:
        return {
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
                "poll_seconds": 0.5,
                "cache_dir": str(self.home / "models"),
            },
            "engine": {"checkpoint": str(self.home / "checkpoint"), "lease_seconds": 6},
            "http": {"port": int(self.url.rpartition(":")[2]), "webhook_secret": WEBHOOK_SECRET},
            "log": {"format": "json"},
            "spark": {"master": "local[2,4]"},
        }

    def spawn(self, *arguments: str) -> None:
        """Start it, with further command line ``arguments``, and return at once."""
        self.process = subprocess.Popen(
            command("score", "--config", str(self.config), *arguments),
            cwd=ROOT,
            env=environment(),
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def start(self, *arguments: str) -> None:
        """Start it and wait until it scores."""
        self.spawn(*arguments)
        eventually(lambda: self.unready() == [], timeout=PATIENCE, every=0.5)

    def unready(self) -> list[str] | None:
        """Return why it is not ready, empty if it is; ``None`` while it does not answer."""
        assert self.process.poll() is None, self.text()[-5_000:]
        try:
            reasons: list[str] = httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).json()["reasons"]
        except httpx.TransportError:
            return None
        return reasons

    def text(self) -> str:
        """Return what it has logged, over all its starts."""
        return (self.home / "log").read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to it and all it started at once, as to a whole machine."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End it and all it started at once, as a lost machine would."""
        self.signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.terminate()
        return self.process.wait(90)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.log.close()


def version_of(record: Any) -> int:
    return int(dict(record.headers)[MODEL_VERSION])


def position(record: Any, partition: str, offset: str) -> Place:
    headers = dict(record.headers)
    return int(headers[partition]), int(headers[offset])
