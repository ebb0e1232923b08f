"""A rollout as a team runs it: by the command line, under load, with a driver lost, and with a shadow beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pyspark.sql import SparkSession

from schemas import prediction
from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Outgoing, Sent
from streaming.models.rollout_versions import RESUME_TAG
from streaming.rollout.intervals import CANDIDATE
from tests.support.arms import Topics, assert_shares
from tests.support.commands import ROOT, penstock
from tests.support.engine import committed, event
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job
from tests.support.kafka import MakeTopic
from tests.support.rollouts import Operator, ShadowProcess
from tests.support.runs import KillableRun
from tests.support.team import Team, save_pipeline

KEYS, RATE, SHADOWED_RATE = 4_000, 400, 100
RECORD = Draft202012Validator(json.loads((ROOT / "schemas" / "contracts" / "rollout_record.json").read_text()))
MODEL_EVENT = Draft202012Validator(json.loads((ROOT / "schemas" / "contracts" / "model_event.json").read_text()))
PLAN = {
    "version": 2,
    "steps": [
        {"share": 0.05, "evidence": {"candidate events": 40}, "most": "3s", "on_not_told": "promote"},
        {"share": 0.25, "evidence": {"candidate events": 200}, "most": "1s", "on_not_told": "promote", "manual": True},
    ],
    "probation": {"evidence": {"labelled days": 10}},
}

SHADOWED = {
    "version": 2,
    "steps": [
        {"share": 0, "evidence": {"champion events": 100}, "most": "1s", "on_not_told": "promote"},
        {"share": 0.25, "evidence": {"candidate events": 50}, "most": "1s", "on_not_told": "promote", "manual": True},
    ],
    "probation": {"evidence": {"labelled days": 10}},
}
"""The first step is the shadow's alone."""


def keyed() -> Iterator[Outgoing[Sent]]:
    """Events of many keys, each key's in one partition."""
    for number in count():
        key = f"N{number % KEYS}"
        yield Outgoing(event(number), Sent(key, number, False), key, partition=number % 2)


@pytest.fixture
def shadow(job: Job) -> Iterator[ShadowProcess]:
    """A shadow that is not started yet."""
    made = ShadowProcess(job)
    yield made
    made.close()


@pytest.fixture
def job(broker: str, make_topic: MakeTopic, tracking_server: str, spark: SparkSession, tmp_path: Path) -> Iterator[Job]:
    """A job that serves v1; v2 says the opposite and is registered."""
    topic = make_topic("features", partitions=2, retention_ms=-1)
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved"), tmp_path)
    team.publish()
    down = save_pipeline(spark, tmp_path / "down", -1.0)
    team.saved = down
    team.publish(champion=False)
    made = Job(broker, topic, team, tmp_path / "job")
    yield made
    made.close()


def answered_and_aborted(job: Job, operator: Operator, load: SteadyLoad[Sent], file: Path) -> None:
    """Roll out to a quarter of the keys under load, and abort once the candidate has answered hundreds of events."""
    file.write_text(yaml.safe_dump({**PLAN, "steps": [{"share": 0.25, "evidence": {"labelled days": 10}}]}))
    job.start()
    load.start(keyed())
    operator("plan", "--in", str(file))
    operator("start")
    eventually(lambda: operator("status")["answered"].get(CANDIDATE, {}).get("events", 0) > 500, timeout=PATIENCE)
    assert "corrected once it is rolled back" in operator("repair", exit_code=2)["problem"]
    operator("abort")
    operator.waits_for("aborted", 1)


def everything_is_answered(topics: Topics, sent: int) -> bool:
    """Count anew: what is cached of the topics is of the moment at which it was read."""
    fresh = Topics(topics.read)
    return len(fresh.outputs) == sent


def checked_to_the_end(job: Job, load: SteadyLoad[Sent]) -> Topics:
    """End the load and the job, and return the topics once every event is answered by the arm that its plan says."""
    load.stop()
    topics = Topics(lambda suffix: committed({"bootstrap.servers": job.servers}, job.topic + suffix))
    eventually(partial(everything_is_answered, topics, load.sent), timeout=PATIENCE, every=1.0)
    assert job.stop() == 0
    topics.check()
    return topics


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_rollout_under_load_survives_the_loss_of_its_driver_and_ends_with_the_candidate_as_champion(
    job: Job, tmp_path: Path
) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(PLAN))
    load, operator = SteadyLoad[Sent](job.servers, job.topic, RATE), Operator(job)
    job.start()
    load.start(keyed())
    tags_are_left_over(job, operator, file)
    operator("plan", "--in", str(file))
    assert "abort it before another begins" in operator("plan", "--in", str(file), exit_code=2)["problem"]
    operator("start")
    operator.waits_for("step", 2, "waits for resume")
    job.kill()
    job.start()
    status = operator("status")
    assert (status["phase"], status["step"], status["weight_epoch"]) == ("step", 2, 2)
    operator.sees_more_answers_than(status)
    operator("resume")
    operator.waits_for("probation", 2)
    assert job.team.client.get_model_version_by_alias(job.team.model, "champion").version == "2"
    operator.waits_for("probation", 2, "nobody reports labelled days")
    operator("promote")
    operator.waits_for("promoted", 2)
    topics = checked_to_the_end(job, load)
    epochs = topics.keys_by_epoch()
    assert_shares(epochs[1], 0.05)
    assert_shares(epochs[2], 0.25)
    seen_again = epochs[1][CANDIDATE] & (epochs[2][CANDIDATE] | epochs[2]["champion"])
    assert seen_again <= epochs[2][CANDIDATE], "a key went back"
    transitions = [record for record in topics.ledger if record["type"] == "rollout"]
    for record in transitions:
        RECORD.validate(record)
    numbers = [record["number"] for record in transitions if record["kind"] == "transition"]
    assert numbers == list(range(1, len(numbers) + 1)), "each once"
    announced = [
        json.loads(message.value()) for message in committed({"bootstrap.servers": job.servers}, f"{job.topic}.models")
    ]
    for record in announced:
        MODEL_EVENT.validate(record)
    assert [e["reason"] for e in announced if e["type"] == "rollout_state"][-1] == "PROMOTED"


def tag(job: Job, gate: str) -> None:
    """Pass a gate of the rollout of v2 in MLflow, as somebody may on its pages."""
    job.team.client.set_model_version_tag(job.team.model, "2", RESUME_TAG, gate)


def tags_are_left_over(job: Job, operator: Operator, file: Path) -> None:
    """See that a tag of an earlier rollout is refused, and take it away."""
    tag(job, f"{job.team.model}-2/2")
    assert "take the tag away, then plan" in operator("plan", "--in", str(file), exit_code=2)["problem"]
    job.team.client.delete_model_version_tag(job.team.model, "2", RESUME_TAG)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_what_an_aborted_candidate_answered_is_corrected_once_beside_the_running_job(job: Job, tmp_path: Path) -> None:
    load, operator = SteadyLoad[Sent](job.servers, job.topic, RATE), Operator(job)
    answered_and_aborted(job, operator, load, tmp_path / "rollout.yaml")
    # The last batch with two arms may be on its way.
    promised = eventually(lambda: operator("repair", "--dry-run"), timeout=PATIENCE, every=1.0)
    first, second = operator("repair"), operator("repair")
    topics = checked_to_the_end(job, load)
    answered = {o.source[1:] for o in topics.outputs if topics.expected(o.source[1:])[0] == CANDIDATE}
    assert len(answered) > 500
    assert sorted(each.source[1:] for each in topics.corrections) == sorted(answered)
    assert [each["events"] for each in (promised, first, second)] == [len(answered)] * 3
    assert [each["predictions"] for each in (promised, first, second)] == [0, len(answered), 0]
    assert promised["ranges"] == first["ranges"] == second["ranges"]


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_repair_that_is_killed_is_finished_by_the_next_one_and_writes_each_correction_once(
    job: Job, tmp_path: Path
) -> None:
    load, operator = SteadyLoad[Sent](job.servers, job.topic, RATE), Operator(job)
    answered_and_aborted(job, operator, load, tmp_path / "rollout.yaml")
    topics = checked_to_the_end(job, load)
    answered = {o.source[1:] for o in topics.outputs if topics.expected(o.source[1:])[0] == CANDIDATE}
    # Small chunks, so that there is a middle in which it can be killed.
    small = ["--set", "input.max_rows_per_batch=40"]
    repair = KillableRun(["rollout", "repair", "--config", str(job.config), *small], tmp_path / "repair.log")
    repair.start()
    repair.kill_when(lambda: len(Topics(topics.read).corrections) > 0)
    written = len(Topics(topics.read).corrections)
    assert 0 < written < len(answered), "it was killed in the middle"
    finished, again = operator("repair"), operator("repair")
    corrections = Topics(topics.read).corrections
    assert sorted(each.source[1:] for each in corrections) == sorted(answered)
    # A commit may have been under way when it was killed.
    assert 0 < finished["predictions"] <= len(answered) - written
    assert (finished["events"], again["predictions"]) == (len(answered), 0)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_shadow_that_is_killed_costs_no_prediction_and_pairs_each_once(
    job: Job, shadow: ShadowProcess, tmp_path: Path
) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(SHADOWED))
    load, operator = SteadyLoad[Sent](job.servers, job.topic, SHADOWED_RATE), Operator(job)
    job.start()
    shadow.start()
    load.start(keyed())
    operator("plan", "--in", str(file))
    operator("start")
    operator.waits_for("step", 2, "waits for resume")
    eventually(lambda: len(shadow.pairs()) > 0, timeout=PATIENCE, every=1.0)
    shadow.kill()
    operator.sees_more_answers_than(operator("status"))
    shadow.start()
    tag(job, f"{operator('status')['rollout']}/2")
    operator.waits_for("probation", 2, "nobody reports labelled days")
    operator("promote")
    operator.waits_for("promoted", 2)
    checked_to_the_end(job, load)
    ours = rollout_predictions(job)
    eventually(lambda: len(shadow.pairs()) >= len(ours), timeout=PATIENCE, every=1.0)
    pairs = shadow.pairs()
    assert shadow.stop() == 0
    assert Counter(pair.prediction_id for pair in pairs) == Counter(ours.keys())
    assert len({pair.shadow_id for pair in pairs}) == len(pairs)
    for pair in pairs:
        served = ours[pair.prediction_id]
        assert (pair.served.version, pair.served.prediction) == (served["model_version"], served["prediction"])
        # The versions say the opposite of each other.
        assert (pair.shadow.version, pair.shadow.prediction) == (3 - pair.served.version, 1.0 - served["prediction"])
    roles = {(pair.weight_epoch, pair.role.value) for pair in pairs}
    assert {(1, "shadow"), (2, "shadow"), (2, "reverse shadow"), (4, "reverse shadow")} <= roles
    once = penstock("shadow", "run", "--once", "--config", str(job.config), "--json", "-")
    assert once.returncode == 0, once.stderr
    assert json.loads(once.stdout)["pairs"] == {}, "nothing is left to pair"


def rollout_predictions(job: Job) -> dict[str, dict[str, Any]]:
    """Return the predictions that name a rollout, by their ids; fails where an id comes twice."""
    listed = committed({"bootstrap.servers": job.servers}, f"{job.topic}.out")
    values = [json.loads(message.value()) for message in listed if prediction.ROLLOUT in dict(message.headers())]
    by_id = {value["prediction_id"]: value for value in values}
    assert len(by_id) == len(values)
    return by_id
