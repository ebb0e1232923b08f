"""Following a real MLflow server with real pipelines: every selector, an outage, a webhook, every kind of breakage."""

from __future__ import annotations

import os
import shutil
import socket
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
import yaml
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from pyspark.sql import SparkSession

from streaming.adapters.mlflow.pointing import MlflowPointer
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.clock import system_clock
from streaming.errors import CandidateRefusedError, ModelNotFoundError, RegistryUnavailableError
from streaming.local.processes import Service, free_port
from streaming.local.tracking import start_tracking_server
from streaming.models.cache import ModelCache
from streaming.models.digest import DIGEST_TAG
from streaming.models.ref import ModelKey, ModelSelector, SelectorKind
from streaming.operations.health import Health
from streaming.operations.http import HttpServer, Operations, create_app
from streaming.operations.metrics import Metrics
from streaming.operations.webhook import WebhookReceiver
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import EventSettings
from tests.support.eventually import eventually
from tests.support.team import Change, Team, save_pipeline, write_golden
from tests.support.versions import House, version_files

TIMEOUT_SECONDS = 5.0
ALIAS_MOVED = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
ENVELOPE = EventSettings(id=None, time=None)


@pytest.fixture(scope="module")
def saved(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted pipeline as MLflow saves it, with a golden row."""
    return save_pipeline(spark, tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def team(tracking_server: str, saved: Path, tmp_path: Path) -> Team:
    return Team(tracking_server, saved, tmp_path)


def house(
    team: Team, spark: SparkSession, *, kind: SelectorKind = "alias", value: str = "champion", poll: float = 0.1
) -> House:
    """One job's model side with the real registry and the real loader."""
    return House(
        MlflowRegistry(team.uri, TIMEOUT_SECONDS),
        team.scratch / "cache",
        system_clock,
        selector=ModelSelector(team.model, kind, value),
        loader=SparkPipelineLoader(spark, ENVELOPE, 1 << 20),
        poll_seconds=poll,
    )


@pytest.fixture
def serving(team: Team, spark: SparkSession) -> Iterator[House]:
    """A job that serves v1 and polls."""
    team.publish()
    made = house(team, spark)
    made.follower.load_first()
    made.follower.start()
    yield made
    made.follower.stop()


def test_a_moved_alias_is_followed_while_polling(serving: House, team: Team) -> None:
    assert serving.serving == 1
    team.publish(champion=False)
    team.point(2)
    eventually(lambda: serving.serving == 2)
    team.point(1)
    eventually(lambda: serving.serving == 1)
    eventually(lambda: serving.sink.types == ["swap", "swap", "swap"])
    assert all(event.run_id and event.digest for event in serving.sink.events)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        pytest.param("alias", "champion", 1, marks=pytest.mark.long),
        pytest.param("stage", "Production", 3, marks=pytest.mark.long),
        ("stage", "production", 3),
        pytest.param("tag", "tier=gold", 2, marks=pytest.mark.long),
        pytest.param("version", "2", 2, marks=pytest.mark.long),
    ],
)
def test_every_selector_is_followed(
    team: Team, spark: SparkSession, kind: SelectorKind, value: str, expected: int
) -> None:
    for _ in range(3):
        team.publish(champion=False)
    team.point(1)
    team.client.set_model_version_tag(team.model, "2", "tier", "gold")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for version in ("3", "2"):  # the highest number serves, not the last that was moved
            team.client.transition_model_version_stage(team.model, version, "Production")
    made = house(team, spark, kind=kind, value=value)
    made.follower.load_first()
    assert made.serving == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [("alias", "nobody"), ("stage", "Staging"), ("tag", "tier=lead"), ("tag", "tier="), ("version", "9")],
)
def test_a_selector_that_names_nothing_is_said_at_the_start(
    team: Team, spark: SparkSession, kind: SelectorKind, value: str
) -> None:
    team.publish()
    with pytest.raises(ModelNotFoundError):
        house(team, spark, kind=kind, value=value).follower.load_first()


@pytest.mark.long
def test_a_deleted_alias_leaves_the_version_serving(serving: House, team: Team) -> None:
    team.client.delete_registered_model_alias(team.model, "champion")
    eventually(lambda: "selector_lost" in serving.sink.types)
    assert serving.serving == 1


def spoil_the_stages(tree: Path) -> None:
    for part in tree.glob("sparkml/stages/*/data/*.parquet"):
        part.write_bytes(part.read_bytes()[:40])


def expect_another_result(tree: Path) -> None:
    write_golden(tree, 0.0)


def edit_mlmodel(edit: Callable[[dict[str, object]], object]) -> Change:
    def change(tree: Path) -> None:
        description = yaml.safe_load((tree / "MLmodel").read_text())
        edit(description)
        (tree / "MLmodel").write_text(yaml.safe_dump(description))

    return change


def bring_code(description: Mapping[str, object]) -> None:
    flavors = description["flavors"]
    assert isinstance(flavors, dict)
    flavors["spark"]["code"] = "code"


BROKEN = [
    pytest.param(spoil_the_stages, "CORRUPT_FILES", id="corrupt files", marks=pytest.mark.long),
    pytest.param(expect_another_result, "GOLDEN_ROW_FAILED", id="failing golden row"),
    pytest.param(edit_mlmodel(bring_code), "NEEDS_CODE", id="needs code", marks=pytest.mark.long),
    pytest.param(
        edit_mlmodel(lambda d: d.pop("signature")), "MISSING_SIGNATURE", id="no signature", marks=pytest.mark.long
    ),
    pytest.param(
        lambda tree: shutil.rmtree(tree / "sparkml" / "metadata"),
        "MALFORMED",
        id="files missing",
        marks=pytest.mark.long,
    ),
    pytest.param(
        lambda tree: (tree / "MLmodel").write_text("{"), "MALFORMED", id="MLmodel is garbage", marks=pytest.mark.long
    ),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN)
def test_a_broken_candidate_never_serves(serving: House, team: Team, change: Change, reason: str) -> None:
    broken = team.publish(change)
    refusal = eventually(lambda: next((e for e in serving.sink.events if e.type.value == "refusal"), None))
    assert (refusal.to_version, refusal.from_version, refusal.reason) == (broken, 1, reason)
    assert serving.serving == 1
    team.publish()
    eventually(lambda: serving.serving == broken + 1)
    assert broken not in serving.metrics.swapped


@pytest.mark.long
def test_a_candidate_that_the_topic_does_not_fit_never_serves(serving: House, team: Team) -> None:
    serving.sample.values = [b'{"carrier": "UA", "distance": "far"}'] * 3
    team.publish()
    eventually(lambda: "SIGNATURE_MISMATCH" in serving.metrics.refused)
    assert serving.serving == 1


@pytest.mark.long
def test_files_changed_after_registering_never_serve(serving: House, team: Team) -> None:
    version = team.publish(champion=False)
    team.client.set_model_version_tag(team.model, str(version), DIGEST_TAG, "0" * 64)
    team.point(version)
    eventually(lambda: "DIGEST_MISMATCH" in serving.metrics.refused)
    assert serving.serving == 1


@pytest.mark.parametrize("tag", [True, False], ids=["with a digest", "without one"])
def test_a_version_whose_files_the_store_has_lost_serves_when_they_are_back(
    tracking_server: str, tmp_path: Path, tag: bool
) -> None:
    team = Team(tracking_server, version_files(tmp_path / "model"), tmp_path)

    def job() -> House:
        registry = MlflowRegistry(team.uri, TIMEOUT_SECONDS)
        return House(
            registry, tmp_path / "cache", system_clock, selector=ModelSelector(team.model, "alias", "champion")
        )

    serving = job()
    team.publish()
    serving.follower.load_first()
    version = team.publish(lambda tree: (tree / "origin").write_text("another"), champion=False, tag=tag)
    location = team.client.get_model_version_download_uri(team.model, str(version))
    store = get_artifact_repository(location, team.uri, team.uri)
    (tmp_path / "copy").mkdir()
    copy = store.download_artifacts("", str(tmp_path / "copy"))
    store.delete_artifacts("")
    team.point(version)
    serving.follower.poll()
    assert (serving.metrics.refused, serving.serving) == (["DOWNLOAD_FAILED"], 1)
    store.log_artifacts(copy)
    again = job()
    again.follower.load_first()
    assert again.serving == version


@pytest.mark.long
def test_a_version_registered_by_others_without_a_digest_serves(serving: House, team: Team) -> None:
    version = team.publish(tag=False)
    eventually(lambda: serving.serving == version)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[[], Service]]:
    """Start a server of the test's own on one port with one database, as often as it is called."""
    port, running = free_port(), []

    def start() -> Service:
        running.append(start_tracking_server(tmp_path / "server", port, os.environ))
        running[-1].wait_ready()
        return running[-1]

    yield start
    for service in running:
        service.stop()


@pytest.mark.long
def test_a_dead_registry_changes_nothing_and_is_followed_again_when_it_is_back(
    own_server: Callable[[], Service], spark: SparkSession, saved: Path, tmp_path: Path
) -> None:
    server = own_server()
    team = Team(server.address, saved, tmp_path)
    team.publish()
    job = house(team, spark)
    job.follower.load_first()
    job.follower.start()
    try:
        server.stop()
        eventually(lambda: "registry_down" in job.sink.types)
        assert job.serving == 1
        restarted = house(team, spark)
        restarted.follower.load_first()
        assert restarted.serving == 1
        assert restarted.sink.events[-1].reason == "LAST_KNOWN_GOOD"
        own_server()
        eventually(lambda: "registry_up" in job.sink.types)
        team.publish()
        eventually(lambda: job.serving == 2)
    finally:
        job.follower.stop()


def test_a_registry_that_accepts_and_never_answers_costs_one_timeout(spark: SparkSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = MlflowRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.3)
        started = time.monotonic()
        with pytest.raises(RegistryUnavailableError):
            registry.resolve(ModelSelector("flights", "alias", "champion"))
        assert time.monotonic() - started < 2


def test_a_download_that_failed_because_it_filled_the_disk_says_so(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow drops the cause on the way, so the disk itself is asked."""
    team.publish()
    registry = MlflowRegistry(team.uri, TIMEOUT_SECONDS)
    version = registry.get(team.model, 1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "MLmodel").mkdir()  # in the way of a file of that name
    with pytest.raises(RegistryUnavailableError):
        registry.download(version, tmp_path / "full")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(CandidateRefusedError, match="CACHE_FULL"):
        ModelCache(tmp_path / "cache", 3, 10**9).fetch(version, lambda v, _: registry.download(v, tmp_path / "full"))


def test_a_webhook_from_the_server_wakes_the_follower(team: Team, spark: SparkSession) -> None:
    team.publish()
    job = house(team, spark, poll=3600)
    job.follower.load_first()
    job.follower.start()
    receiver = WebhookReceiver("a shared secret", team.model.__eq__, job.follower.wake, system_clock)
    operations = Operations(Metrics(system_clock, (1.0,)), Health(job.slot, system_clock), job.slot, receiver)
    door = HttpServer(create_app(operations), "127.0.0.1", 0)
    door.start()
    hook = team.client.create_webhook(
        f"penstock-{uuid4().hex[:8]}", f"{door.url}/webhooks/mlflow", [ALIAS_MOVED], secret="a shared secret"
    )

    def moved() -> bool:
        team.point(2)  # again and again: the server reads its list of webhooks once a second
        return job.serving == 2

    try:
        team.publish(champion=False)
        eventually(moved, every=0.5)
    finally:
        team.client.delete_webhook(hook.webhook_id)
        door.stop()
        job.follower.stop()


@pytest.mark.long
def test_two_registries_in_one_process_are_kept_apart(
    own_server: Callable[[], Service], team: Team, saved: Path, tmp_path: Path
) -> None:
    """MLflow resolves ``models:/`` by a process-wide registry; files must come from the one that was asked."""
    other = Team(own_server().address, saved, tmp_path, model=team.model)
    team.publish(lambda tree: (tree / "origin").write_text("here"))
    other.publish(lambda tree: (tree / "origin").write_text("there"))
    for uri, origin in ((team.uri, "here"), (other.uri, "there")):
        registry = MlflowRegistry(uri, TIMEOUT_SECONDS)
        target = tmp_path / origin
        target.mkdir()
        registry.download(registry.get(team.model, 1), target)
        assert (target / "origin").read_text() == origin


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("alias", "champion", id="alias"),
        pytest.param("stage", "Production", id="stage", marks=pytest.mark.long),
        pytest.param("tag", "tier=gold", id="tag"),
    ],
)
def test_a_selector_is_pointed_at_a_version_and_back(team: Team, kind: SelectorKind, value: str) -> None:
    for _ in range(2):
        team.publish(champion=False)
    pointer, registry = MlflowPointer(team.uri), MlflowRegistry(team.uri, TIMEOUT_SECONDS)
    selector, first, second = ModelSelector(team.model, kind, value), ModelKey(team.model, 1), ModelKey(team.model, 2)
    pointer.point(selector, second, None)
    assert registry.resolve(selector).key == second
    pointer.point(selector, first, second)
    assert registry.resolve(selector).key == first
    if kind == "alias":
        with pytest.raises(ModelNotFoundError, match="not in the registry"):
            pointer.point(selector, ModelKey(team.model, 9), None)


def test_the_tracking_server_that_tests_share_is_mlflow_3(tracking_server: str) -> None:
    with urllib.request.urlopen(f"{tracking_server}/version", timeout=10) as reply:
        assert reply.read().decode().startswith("3.")
