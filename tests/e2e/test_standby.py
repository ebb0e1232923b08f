"""Two real drivers of one application under load: one scores, one stands by, and the first one goes, in four ways."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pyspark.sql import SparkSession

from streaming.accounting.subscriber import Subscriber
from tests.support.commands import penstock
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job, Load, Outputs
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline

PARTITIONS = 2


@dataclass
class Pair:
    """Two drivers on machines of their own, as it were: they share the checkpoint's storage and nothing else."""

    first: Job
    second: Job
    load: Load
    outputs: Outputs
    ledger: Subscriber
    events: Subscriber

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return the ledger's records of one type."""
        result = [json.loads(record.value) for record in self.ledger.read()]
        return [record for record in result if record["type"] == kind]

    def stands_by(self) -> bool:
        return any("standby" in reason for reason in self.second.unready() or ())

    def silence(self, since: float) -> tuple[float, float]:
        """Wait for the second driver's first output; return the seconds without any, and the seconds from ``since``."""
        seen, last_of_old = self.outputs.count(), time.monotonic()
        while not self.epochs()[1:]:
            if (now := len(self.outputs.predictions.read())) != seen:
                seen, last_of_old = now, time.monotonic()
        eventually(lambda: len(self.outputs.predictions.read()) > seen, timeout=PATIENCE, every=0.01)
        first_of_new = time.monotonic()
        return first_of_new - last_of_old, first_of_new - since

    def epochs(self) -> list[int]:
        return [record["epoch"] for record in self.records("lease")]


@pytest.fixture(scope="module")
def saved(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(spark, tmp_path_factory.mktemp("saved") / "up")


@pytest.fixture
def pair(broker: str, make_topic: MakeTopic, tracking_server: str, saved: Path, tmp_path: Path) -> Iterator[Pair]:
    topic = make_topic("features", partitions=PARTITIONS, retention_ms=-1)
    team = Team(tracking_server, saved, tmp_path)
    assert team.publish() == 1
    shared = {"engine": {"checkpoint": str(tmp_path / "checkpoint"), "hung_seconds": 10}}
    first, second = (Job(broker, topic, team, tmp_path / name, shared) for name in ("first", "second"))
    first.start()
    outputs = Outputs(broker, topic)
    ledger, events = (Subscriber(broker, f"{topic}.{name}") for name in ("ledger", "models"))
    made = Pair(first, second, Load(broker, topic), outputs, ledger, events)
    second.spawn()
    yield made
    for resource in (outputs, ledger, events, first, second):
        resource.close()


def is_killed(first: Job) -> None:
    first.kill()


def is_stopped(first: Job) -> None:
    done = penstock("stop", "--config", str(first.config))
    assert (done.returncode, done.stdout) == (0, "The job has stopped.\n"), done.stderr
    assert first.process.wait(10) == 0, first.text()[-5_000:]


def falls_silent(first: Job) -> None:
    first.signal(signal.SIGSTOP)


def has_a_jvm_that_hangs(first: Job) -> None:
    jvm_of(first).suspend()


def jvm_of(job: Job) -> psutil.Process:
    """The process that Spark runs in; the driver is its parent, some processes up."""
    (result,) = (p for p in psutil.Process(job.process.pid).children(recursive=True) if p.name() == "java")
    return result


WAYS = [
    is_killed,
    pytest.param(is_stopped, marks=pytest.mark.long),
    pytest.param(falls_silent, marks=pytest.mark.long),
    pytest.param(has_a_jvm_that_hangs, marks=pytest.mark.long),
]


@pytest.mark.long
@pytest.mark.parametrize("the_first", WAYS, ids=lambda way: way.__name__)
def test_a_standby_takes_over_and_nothing_is_lost_doubled_or_written_by_the_first(
    pair: Pair, the_first: Callable[[Job], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pair.load:
        pair.outputs.wait_for(1)
        eventually(pair.stands_by, timeout=PATIENCE, every=0.5)
        pair.outputs.wait_for(pair.outputs.count() + pair.load.rate)
        assert pair.epochs() == [1]
        began = time.monotonic()
        the_first(pair.first)
        silent, since = pair.silence(began)
        with capsys.disabled():
            print(
                f"\n{the_first.__name__}: {silent:.1f} s without output, {since:.1f} s from the event to the next one"
            )
        pair.outputs.wait_for(pair.outputs.count() + pair.load.rate)
        if the_first is falls_silent:
            pair.first.signal(signal.SIGCONT)
            assert pair.first.process.wait(PATIENCE) == 5, pair.first.text()[-5_000:]
            assert "has taken over" in pair.first.text()
            pair.outputs.wait_for(pair.outputs.count() + pair.load.rate)
        if the_first is has_a_jvm_that_hangs:
            reply = httpx.get(f"{pair.first.url}/livez", timeout=5, trust_env=False)
            assert reply.status_code == 503
            assert "the JVM has answered nothing for" in reply.text
            jvm_of(pair.first).resume()
            assert pair.first.process.wait(PATIENCE) in (1, 5), pair.first.text()[-5_000:]
    pair.outputs.wait_for(pair.load.sent)
    assert pair.second.stop() == 0
    pair.outputs.account(pair.load.delivered)
    assert pair.epochs() == [1, 2]
    plans = [int(record["plan"].partition(".")[0]) for record in pair.records("plan")]
    assert plans == sorted(plans), "the first driver planned a batch after the second had taken over"
    reported = [json.loads(record.value) for record in pair.events.read()]
    assert [(event["type"], event["from_version"], event["to_version"]) for event in reported] == [
        ("swap", None, 1)
    ] * 2
