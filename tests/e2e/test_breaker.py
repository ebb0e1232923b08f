"""A flood of events that cannot be scored pauses the job early; resuming and restarting go on, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator
from pyspark.sql import SparkSession

from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Outgoing, Place, Sent
from streaming.accounting.subscriber import Subscriber
from tests.support.commands import ROOT
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job, Outputs
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline

MODEL_EVENT = Draft202012Validator(json.loads((ROOT / "schemas" / "contracts" / "model_event.json").read_text()))
ROWS_PER_BATCH, MIN_ROWS, FLOOD = 400, 300, 3_000


def publish(servers: str, topic: str, count: int, *, good_every: int) -> dict[Place, Sent]:
    """Publish ``count`` events, of which only every so manyth is JSON; return where they are."""
    load: SteadyLoad[Sent] = SteadyLoad(servers, topic, rate=0)
    load.run(flood(count, good_every))
    return load.delivered


def flood(count: int, good_every: int) -> Iterator[Outgoing[Sent]]:
    for number in range(count):
        sent = Sent(f"k{number % 2}", number, None if number % good_every else True)
        event = {"event_id": sent.id, "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "distance": 90.0}
        value = b"event_id=e1;carrier=UA" if sent.late is None else json.dumps(event).encode()
        yield Outgoing(value, sent, sent.key, partition=number % 2)


def paused(job: Job) -> str:
    """Return why the job is paused, empty if it is not."""
    return next((reason for reason in job.unready() or [] if reason.startswith("paused: ")), "")


@pytest.mark.long
def test_a_flood_of_bad_events_pauses_the_job_and_is_finished_when_somebody_says_so(
    spark: SparkSession, broker: str, make_topic: MakeTopic, tracking_server: str, tmp_path: Path
) -> None:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved", 1.0), tmp_path)
    team.publish()
    bounds: dict[str, dict[str, int]] = {
        "input": {"max_rows_per_batch": ROWS_PER_BATCH},
        "engine": {"bad_share_min_rows": MIN_ROWS},
    }
    job = Job(broker, topic, team, tmp_path / "job", bounds)
    job.start()
    outputs, events = Outputs(broker, topic), Subscriber(broker, f"{topic}.models")
    try:
        sent = publish(broker, topic, FLOOD, good_every=10)
        why = eventually(lambda: paused(job), timeout=PATIENCE)
        assert "MALFORMED_JSON" in why
        assert "penstock resume" in why
        # What came in before the bound could trip, the batch that tripped it, and nothing after.
        first = outputs.count()
        assert first <= MIN_ROWS + ROWS_PER_BATCH
        assert "penstock_paused 1.0" in httpx.get(f"{job.url}/metrics", trust_env=False).text

        assert httpx.post(f"{job.url}/v1/resume", trust_env=False).status_code == 200
        outputs.wait_for(first + 1)
        eventually(lambda: paused(job), timeout=PATIENCE)
        assert outputs.count() <= first + MIN_ROWS + ROWS_PER_BATCH
        assert job.stop() == 0

        job.start("--set", "engine.max_bad_share=1")
        outputs.wait_for(FLOOD)
        assert job.stop() == 0
        outputs.account(sent)
        reported = [json.loads(record.value) for record in events.read()]
    finally:
        outputs.close()
        events.close()
        job.close()
    for event in reported:
        MODEL_EVENT.validate(event)
    changes = [
        (event["type"], event["actor"], event["reason"]) for event in reported if event["type"] in ("pause", "resume")
    ]
    tripped = ("pause", "engine", "TOO_MANY_DEAD_LETTERS")
    assert changes == [tripped, ("resume", "operator", None), tripped]
