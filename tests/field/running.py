"""A scoring job of a case: ``penstock score`` in a process of its own, and what came out of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streaming.accounting.subscriber import Subscriber
from streaming.local.processes import free_port
from tests.field.rig import Rig, write_settings
from tests.support.commands import command, environment
from tests.support.eventually import eventually

PATIENCE = 180.0


def create(rig: Rig, name: str, partitions: int = 1, **config: str) -> str:
    """Create a topic; underscores in the names of ``config`` are dots."""
    admin = AdminClient({"bootstrap.servers": rig.servers})
    settings = {key.replace("_", "."): value for key, value in config.items()}
    for made in admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
        made.result(30)
    return name


def event(number: int, **fields: Any) -> bytes:
    """Return an event of the shop with the fields changed."""
    usual = {"event_id": str(number), "event_time": "2026-01-01T00:00:00Z", "store": "007", "km": 1.5, "n": 2}
    return json.dumps({**usual, **fields}).encode()


def producer(rig: Rig) -> Producer:
    """Return a producer of events."""
    return Producer({"bootstrap.servers": rig.servers})


def records(rig: Rig, topic: str) -> list[Any]:
    """Return all committed records of a topic; none if it is not there."""
    with closing(Subscriber(rig.servers, topic)) as subscriber:
        return list(subscriber.to_the_end())


@dataclass
class Score:
    """A running job and where it listens."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    settings: Mapping[str, Any]

    def get(self, path: str) -> httpx.Response | None:
        """Return an endpoint's answer, ``None`` while it does not answer."""
        try:
            return httpx.get(self.url + path, timeout=5, trust_env=False)
        except httpx.TransportError:
            return None

    def text(self) -> str:
        """Return what it has logged."""
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: bool = True) -> None:
        """Wait until ``/readyz`` says so."""

        def answered() -> bool:
            assert self.process.poll() is None, self.text()[-3_000:]
            answer = self.get("/readyz")
            return answer is not None and (answer.status_code == 200) is ready

        eventually(answered, timeout=PATIENCE, every=0.5)

    def end(self) -> None:
        """End it and all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(30)


@contextmanager
def a_score(rig: Rig, folder: Path, topic: str, model_name: str, **sections: Mapping[str, Any]) -> Iterator[Score]:
    """Run a job on ``topic`` for as long as the ``with`` block; ``sections`` are laid over its usual settings."""
    port = free_port()
    usual: dict[str, Any] = {
        "application": topic,
        "kafka": {"bootstrap.servers": rig.servers},
        "input": {"topic": topic},
        "output": {
            name: f"{topic}.{name}" for name in ("predictions", "dead_letters", "model_events", "ledger", "progress")
        },
        "model": {"name": model_name, "tracking_uri": rig.tracking_uri, "cache_dir": str(folder / "models")},
        "engine": {"checkpoint": str(folder / "checkpoint"), "lease_seconds": 6},
        "http": {"port": port},
        "log": {"format": "json"},
        "spark": {"master": "local[2,4]"},
    }
    for section, changes in sections.items():
        usual[section] = {**usual.get(section, {}), **changes}
    write_settings(folder / "penstock.yaml", **usual)
    log = folder / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command("score", "-c", "penstock.yaml"),
            cwd=folder,
            env=environment(),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    score = Score(process, f"http://127.0.0.1:{port}", log, usual)
    try:
        yield score
    finally:
        score.end()
