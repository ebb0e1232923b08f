"""The whole job under load, as a user runs it: the model is swapped while events stream, and the account is exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from pyspark.sql import SparkSession

from streaming.accounting.subscriber import Subscriber
from streaming.models.digest import DATA_DIGEST_TAG
from tests.support.commands import ROOT, penstock
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, WEBHOOK_SECRET, Job, Load, Outputs, assert_versions_follow, version_of
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline, write_golden

PARTITIONS = 2
MODEL_EVENT = Draft202012Validator(json.loads((ROOT / "schemas" / "contracts" / "model_event.json").read_text()))
ALIAS_MOVED = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)


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
    outputs: Outputs
    events: Subscriber
    staged: Path

    def versions(self) -> set[int]:
        return {version_of(record) for record in self.outputs.predictions.read()}

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
    model = {"poll_seconds": poll_seconds, "staging_uri": (tmp_path / "staged").as_uri()}
    job = Job(broker, topic, team, tmp_path / "job", {"model": model})
    job.start()
    outputs, events = Outputs(broker, topic), Subscriber(broker, f"{topic}.models")
    yield Scene(team, job, Load(broker, topic), outputs, events, tmp_path / "staged")
    outputs.close()
    events.close()
    job.close()


def assert_exact(scene: Scene, last: int) -> None:
    """Every event is in exactly one output, scored by one version whose own answer it is, versions in order."""
    sent = scene.load.delivered
    scene.outputs.wait_for(len(sent))
    assert scene.job.stop() == 0
    assert_versions_follow(scene.outputs.account(sent), 1, last)


@pytest.mark.long
@pytest.mark.parametrize("poll_seconds", [3600.0], ids=["woken by webhooks"])
def test_a_swap_under_load_loses_doubles_and_mixes_nothing(scene: Scene, models: dict[str, Path]) -> None:
    door = f"{scene.job.url}/webhooks/mlflow"
    hook = scene.team.client.create_webhook(scene.team.model, door, [ALIAS_MOVED], secret=WEBHOOK_SECRET)
    with scene.load:
        eventually(lambda: scene.versions() == {1}, timeout=PATIENCE)
        broken = scene.team.publish(lambda tree: write_golden(tree, 0.0))
        eventually(lambda: scene.refused(broken), timeout=PATIENCE)
        scene.team.saved = models["down"]
        better = scene.team.publish()
        eventually(lambda: better in scene.versions(), timeout=PATIENCE)
        scene.outputs.wait_for(scene.outputs.count() + scene.load.rate)
    scene.team.client.delete_webhook(hook.webhook_id)
    assert_exact(scene, better)
    assert {1, better} <= {int(staged.name.split("-")[0]) for staged in scene.staged.glob("*/*-*")}
    reported = scene.model_events()
    assert [(e["type"], e["from_version"], e["to_version"], e["reason"]) for e in reported] == [
        ("swap", None, 1, None),
        ("refusal", 1, broken, "GOLDEN_ROW_FAILED"),
        ("swap", 1, better, None),
    ]
    for event in reported:
        MODEL_EVENT.validate(event)
    assert asked(scene, "show", "--type", "swap", "--type", "refusal") == reported
    scene.team.client.set_model_version_tag(scene.team.model, str(better), DATA_DIGEST_TAG, "sha256:rows")
    for version, digest in ((1, None), (better, "sha256:rows")):
        value = next(json.loads(r.value) for r in scene.outputs.predictions.records if version_of(r) == version)
        (answer,) = asked(scene, "at", "--event-id", value["event_id"])
        assert (answer["version"], answer["run_id"], answer["data_digest"]) == (version, value["run_id"], digest)
        assert answer["certainty"] == "recorded"


def asked(scene: Scene, verb: str, *arguments: str) -> list[dict[str, Any]]:
    """What ``penstock ledger`` answers."""
    done = penstock("ledger", verb, "--config", str(scene.job.config), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.long
@pytest.mark.parametrize("poll_seconds", [0.5], ids=["polling"])
def test_a_job_killed_while_it_swaps_loses_doubles_and_mixes_nothing(scene: Scene, models: dict[str, Path]) -> None:
    with scene.load:
        eventually(lambda: scene.versions() == {1}, timeout=PATIENCE)
        scene.team.saved = models["down"]
        better = scene.team.publish()
        eventually(lambda: better in scene.versions(), timeout=PATIENCE, every=0.01)
        scene.job.kill()
        scene.job.start()
        scene.outputs.wait_for(scene.outputs.count() + scene.load.rate)
    assert_exact(scene, better)
