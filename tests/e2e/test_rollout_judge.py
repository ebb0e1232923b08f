"""A grossly bad candidate on a real job with its shadow, real labels and the judge, each a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pyspark.sql import SparkSession

from streaming.accounting.load import Publisher, SteadyLoad
from streaming.accounting.records import Outgoing, Sent
from streaming.local.processes import free_port
from tests.support.engine import committed, event
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job
from tests.support.kafka import MakeTopic
from tests.support.rollouts import BesideTheJob, Operator, ShadowProcess
from tests.support.team import Team, save_pipeline

RATE, KEYS = 40, 400
PLAN = {
    "version": 2,
    "steps": [{"share": 0.25, "evidence": {"labelled events": 5_000}}],
    "probation": {"evidence": {"labelled days": 10}},
}
MOST_LABELLED, MOST_BATCHES = 250, 2
"""What gross harm may take to be found, and how many batches may still have the candidate after that."""


@pytest.fixture
def job(broker: str, make_topic: MakeTopic, tracking_server: str, spark: SparkSession, tmp_path: Path) -> Iterator[Job]:
    """A job that serves v1, which is right; v2 says the opposite and is registered."""
    topic = make_topic("features", partitions=2, retention_ms=-1)
    labels = make_topic("labels", partitions=1, retention_ms=-1)
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved"), tmp_path)
    team.publish()
    team.saved = save_pipeline(spark, tmp_path / "down", -1.0)
    team.publish(champion=False)
    changes: dict[str, dict[str, Any]] = {"quality": {"labels": labels}, "judge": {"metrics_port": free_port()}}
    made = Job(broker, topic, team, tmp_path / "job", changes)
    yield made
    made.close()


def labelled(job: Job, publisher: Publisher) -> Iterator[Outgoing[Sent]]:
    """Events of many keys; what happened to each becomes known an hour after it, and is published at once."""
    for number in count():
        key, is_late = f"N{number % KEYS}", number % 100 > 50
        label = {"event_id": f"e{number}", "label": str(int(is_late)), "known_at": "2013-01-01T06:15:00Z"}
        publisher.send(json.dumps(label).encode())
        yield Outgoing(event(number), Sent(key, number, False), key, partition=number % 2)


def of_ledger(job: Job) -> list[dict[str, Any]]:
    return [json.loads(m.value()) for m in committed({"bootstrap.servers": job.servers}, f"{job.topic}.ledger")]


def is_harm(record: dict[str, Any]) -> bool:
    return (record.get("kind"), record.get("finding")) == ("verdict", "harm")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_gross_harm_rolls_back_within_two_batches_of_being_found(job: Job, tmp_path: Path) -> None:
    settings = yaml.safe_load(job.config.read_text())
    judge_url = f"http://127.0.0.1:{settings['judge']['metrics_port']}"
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(PLAN))
    load, operator = SteadyLoad[Sent](job.servers, job.topic, RATE), Operator(job)
    judge, shadow = BesideTheJob(job, "judge", "rollout", "judge"), ShadowProcess(job)
    with ExitStack() as stack:
        for process in (judge, shadow):
            stack.enter_context(closing(process))
        job.start()
        load.start(labelled(job, Publisher(job.servers, settings["quality"]["labels"])))
        stack.callback(load.stop)
        judge.start()
        shadow.start()
        eventually(lambda: is_ready(judge_url), timeout=PATIENCE, every=0.5)
        operator("plan", "--in", str(file))
        operator("start")
        operator.waits_for("rolled back", 1)
        status = operator("status")
        assert "the judge found harm: gross harm: on" in status["because"]
        assert (
            'penstock_judge_verdicts_total{finding="harm"}' in httpx.get(f"{judge_url}/metrics", trust_env=False).text
        )
        assert judge.stop() == 0
    assert job.stop() == 0
    ledger = of_ledger(job)
    harm = next(number for number, record in enumerate(ledger) if is_harm(record))
    assert 100 <= ledger[harm]["checks"]["gross harm"]["count"] <= MOST_LABELLED
    plans = [record for record in ledger[harm:] if record.get("type") == "plan"]
    batches = next(number for number, plan in enumerate(plans) if "arms" not in plan)
    assert batches <= MOST_BATCHES, "the candidate answered in more batches after it was found harmful"
    assert not any("arms" in plan for plan in plans[batches:]), "it has come back"
    assert any("arms" in record for record in ledger[:harm] if record.get("type") == "plan"), "it never had a batch"


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
