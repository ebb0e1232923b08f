"""A scoring job in a process of its own, the load it is put under, and the account of what a subscriber sees of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import httpx
import yaml

from streaming.accounting.check import LedgerHistory, ReadBack, check
from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Place, ReadResult, Sent
from streaming.accounting.subscriber import Subscriber, result_of, results_of
from streaming.local.processes import free_port
from tests.support.commands import ROOT, command, environment
from tests.support.eventually import eventually
from tests.support.team import Team
from tests.support.traffic import predicts, traffic

PATIENCE = 300.0
WEBHOOK_SECRET = "a shared secret"
_RATE = 200


class Load(SteadyLoad[Sent]):
    """Traffic for a job, from a thread of its own, while the block lasts."""

    def __init__(self, servers: str, topic: str, partitions: int = 2) -> None:
        super().__init__(servers, topic, _RATE)
        self._records = traffic(Random(1), partitions)

    def __enter__(self) -> Load:
        self.start(self._records)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Outputs:
    """Both output topics of a job with default names below its input topic's."""

    def __init__(self, servers: str, topic: str) -> None:
        self.predictions = Subscriber(servers, f"{topic}.out")
        self.dead_letters = Subscriber(servers, f"{topic}.dlq")
        self._ledger = Subscriber(servers, f"{topic}.ledger")

    def count(self) -> int:
        """Return how many events are answered so far."""
        return len(self.predictions.read()) + len(self.dead_letters.read())

    def wait_for(self, count: int) -> None:
        """Wait until so many events are answered."""
        eventually(lambda: self.count() >= count, timeout=PATIENCE)

    def places(self) -> list[Place]:
        """Return which event each output so far answers, repeated ones too."""
        self.count()
        return [result.place for result in results_of([*self.predictions.records, *self.dead_letters.records])]

    def account(self, sent: Mapping[Place, Sent]) -> list[ReadResult]:
        """Assert that every event came out once, as the right kind, in order, and by the version that the ledger says,
        whose own answer it is; return the predictions by the place of their events.
        """
        for topic in (self.predictions, self.dead_letters):
            topic.records += topic.to_the_end()
        predictions, dead_letters = (results_of(topic.records) for topic in (self.predictions, self.dead_letters))
        ledger = LedgerHistory(json.loads(record.value) for record in self._ledger.to_the_end())
        findings = check(ReadBack(sent, predictions, dead_letters, predicts, ledger))
        assert findings.counts == {}, findings.examples
        return sorted(predictions, key=lambda result: result.place)

    def close(self) -> None:
        for subscriber in (self.predictions, self.dead_letters, self._ledger):
            subscriber.close()


def assert_versions_follow(results: Sequence[ReadResult], *versions: int) -> None:
    """Each partition's events were scored by these versions, one after the other."""
    for partition in {result.place[0] for result in results}:
        assert [number for number, _ in groupby(r.version for r in results if r.place[0] == partition)] == [*versions]


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
    """Return the version that a prediction names."""
    return result_of(record).version
