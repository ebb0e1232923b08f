"""``penstock serve`` as a user runs it: it follows a real registry, swaps between two requests, and drains."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.configuration.load import load_settings
from jobs.process.stopping import StopRequest
from jobs.wiring.serving import scoring_server
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.ledger_tail import append_record
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.errors import ConfigurationError
from streaming.local.processes import free_port
from tests.support.commands import ROOT, command, environment
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.models import SIGNATURE, with_a_cosine_transform
from tests.support.servers import event, version_tree
from tests.support.shadows import transitions
from tests.support.team import Team

PATIENCE = 180.0


@dataclass
class Caller:
    """Asks for predictions of lists, one after the other, and keeps what it was answered."""

    url: str
    answers: list[httpx.Response] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        body = json.dumps([event(event_id=str(number), hour=number) for number in range(24)])
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self.done.is_set():
                try:
                    headers = {"content-type": "application/json"}
                    self.answers.append(client.post(f"{self.url}/v1/score", content=body, headers=headers))
                except httpx.TransportError as problem:
                    self.failures.append(repr(problem))
                    return

    def versions(self) -> list[int]:
        """The versions of the answers so far, each of which has one alone."""
        versions = []
        for answer in list(self.answers):
            assert answer.status_code == 200, answer.text
            (version,) = {item["model_version"] for item in answer.json()}
            assert answer.headers["penstock-model-version"] == str(version)
            versions.append(version)
        return versions


@dataclass
class Scene:
    """A team, its server in a process of its own, and a caller."""

    team: Team
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def ready(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.log.read_text()[-5_000:]
        try:
            answer: dict[str, Any] = httpx.get(f"{self.url}/ready", trust_env=False, timeout=10).json()
        except httpx.TransportError:
            return None
        return answer

    def model(self) -> dict[str, Any]:
        described: dict[str, Any] = httpx.get(f"{self.url}/v1/model", trust_env=False, timeout=10).json()
        return described


@pytest.fixture
def scene(tracking_server: str, tmp_path: Path) -> Iterator[Scene]:
    with opened(tracking_server, tmp_path) as made:
        yield made


@contextmanager
def opened(tracking_server: str, tmp_path: Path, **serve: Any) -> Iterator[Scene]:
    (tmp_path / "scratch").mkdir()
    team = Team(tracking_server, version_tree(tmp_path / "up"), tmp_path / "scratch")
    assert team.publish() == 1
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "model": {
            "name": team.model,
            "alias": "champion",
            "tracking_uri": tracking_server,
            "cache_dir": str(tmp_path / "models"),
            "poll_seconds": 3600,
        },
        "serve": {"port": int(url.rpartition(":")[2]), "drain_seconds": 1, **serve},
        "log": {"format": "json"},
    }
    config, log = tmp_path / "penstock.yaml", tmp_path / "log"
    config.write_text(yaml.safe_dump(settings))
    with log.open("ab") as output:
        arguments = command("serve", "--config", str(config))
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment(), stdout=output, stderr=output)
    made = Scene(team, url, process, log)
    try:
        eventually(lambda: (made.ready() or {}).get("ok"), timeout=PATIENCE)
        yield made
    finally:
        others = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait(180)
        for other in others:
            with suppress(psutil.NoSuchProcess):
                other.kill()


def test_the_model_is_swapped_between_two_requests_and_a_signal_lets_all_be_answered(
    scene: Scene, tmp_path: Path
) -> None:
    caller = Caller(scene.url)
    calling = threading.Thread(target=caller.run)
    calling.start()
    try:
        eventually(lambda: len(caller.answers) >= 20)
        scene.team.saved = version_tree(tmp_path / "down", turned=True)
        better = scene.team.publish()
        assert httpx.post(f"{scene.url}/model/reload", trust_env=False).status_code == 202
        eventually(lambda: caller.versions()[-1:] == [better], timeout=PATIENCE)
        scene.process.send_signal(signal.SIGTERM)
        eventually(lambda: (scene.ready() or {}).get("reasons") == ["the server is stopping"], every=0.02)
        seen = len(caller.answers)
        eventually(lambda: len(caller.answers) > seen, every=0.02)
    finally:
        caller.done.set()
        calling.join(60)
    assert caller.failures == []
    versions = caller.versions()
    assert versions == sorted(versions)
    assert set(versions) == {1, better}
    first, last = ([item["prediction"] for item in caller.answers[at].json()] for at in (0, -1))
    assert [1.0 - prediction for prediction in first] == last
    assert scene.process.wait(180) == 0, scene.log.read_text()[-5_000:]


@pytest.mark.long
def test_several_processes_are_one_server_and_one_that_dies_is_started_again(
    tracking_server: str, tmp_path: Path
) -> None:
    with opened(tracking_server, tmp_path, processes=2) as scene:

        def versions() -> list[int | None]:
            # Each request has a connection of its own, and the kernel chooses who gets it.
            answer: dict[str, int | None] = httpx.get(f"{scene.url}/v1/model", trust_env=False).json()["processes"]
            return [answer.get(number) for number in ("0", "1")]

        def one_is_gone() -> bool:
            try:
                return None in versions()
            except httpx.ReadError:
                # The process that dies had accepted this request.
                return False

        eventually(lambda: versions() == [1, 1], timeout=PATIENCE)
        caller = Caller(scene.url)
        calling = threading.Thread(target=caller.run)
        calling.start()
        try:
            scene.team.saved = version_tree(tmp_path / "down", turned=True)
            better = scene.team.publish()
            assert httpx.post(f"{scene.url}/model/reload", trust_env=False).status_code == 202
            eventually(lambda: versions() == [better, better], timeout=PATIENCE)
            eventually(lambda: caller.versions()[-1:] == [better])
        finally:
            caller.done.set()
            calling.join(60)
        assert caller.failures == []
        text = httpx.get(f"{scene.url}/metrics", trust_env=False).text
        assert all(
            f'penstock_model_swaps_total{{process="{number}",result="promoted"}} 2.0' in text for number in (0, 1)
        )
        first, second = (worker for worker in psutil.Process(scene.process.pid).children() if is_worker(worker))
        first.kill()
        eventually(one_is_gone, every=0.02)
        eventually(lambda: versions() == [better, better], timeout=PATIENCE)
        assert second.is_running()
        workers = [worker for worker in psutil.Process(scene.process.pid).children() if is_worker(worker)]
        scene.process.send_signal(signal.SIGTERM)
        assert scene.process.wait(180) == 0, scene.log.read_text()[-5_000:]
        assert psutil.wait_procs(workers, timeout=5)[1] == []


@pytest.mark.long
def test_processes_that_cannot_serve_end_the_server_with_their_code(tracking_server: str, tmp_path: Path) -> None:
    settings = {
        "model.name": "nobody",
        "model.alias": "champion",
        "model.tracking_uri": tracking_server,
        "model.cache_dir": str(tmp_path / "models"),
        "serve.port": "0",
        "serve.processes": "2",
        "log.format": "json",
    }
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    ended = subprocess.run(
        command("serve", *options),
        check=False,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1, ended.stderr[-5_000:]
    assert "nobody@champion is not in the registry" in ended.stderr


def is_worker(process: psutil.Process) -> bool:
    """Not the process by which Python counts what its processes share."""
    return any("spawn_main" in part for part in process.cmdline())


def test_a_server_follows_a_rollout_and_writes_what_it_answers(
    tracking_server: str, broker: str, make_topic: MakeTopic, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    team = Team(tracking_server, version_tree(tmp_path / "up"), tmp_path / "scratch")
    assert team.publish() == 1
    team.saved = version_tree(tmp_path / "down", turned=True)
    assert team.publish(champion=False) == 2
    application, url = f"app-{team.model}", f"http://127.0.0.1:{free_port()}"
    own = {
        "application": application,
        "kafka.bootstrap.servers": broker,
        "event.key": "carrier",
        "output.ledger": make_topic("ledger", 1),
        "output.predictions": f"{application}.out",
        "model.name": team.model,
        "model.tracking_uri": tracking_server,
        "model.cache_dir": str(tmp_path / "models"),
        "serve.port": url.rpartition(":")[2],
        "serve.drain_seconds": "0",
        "serve.log": "true",
        "serve.rollout": "true",
    }
    settings = load_settings(None, [f"{key}={value}" for key, value in own.items()], {})
    for record in transitions(application)[:3]:
        half = {"intervals": [{"arm": "candidate", "end": 2**31}, {"arm": "champion", "end": 2**32}]}
        named = {**record, "model": team.model, **(half if record["kind"] == "transition" else {})}
        append_record(settings.kafka, settings.output.ledger, application, named)
    stopping, bodies = StopRequest(None), [event(event_id=f"e{n}", carrier=f"C{n}") for n in range(40)]
    with scoring_server(settings, stopping) as server:
        running = threading.Thread(target=server.run)
        running.start()
        try:
            eventually(lambda: httpx.get(f"{url}/ready", trust_env=False).status_code == 200, timeout=PATIENCE)
            items = httpx.post(f"{url}/v1/score", json=bodies, trust_env=False).json()
            health = httpx.get(f"{url}/health", trust_env=False).json()
        finally:
            stopping.ask()
            running.join(60)
    assert {(item["role"], item["model_version"]) for item in items} == {("champion", 1), ("candidate", 2)}
    assert health["rollout"] == {"rollout": "late-2", "weight_epoch": 2, "candidate": 2, "problem": None}
    assert health["log"]["problem"] is None
    messages = KafkaLog(client_config(settings.kafka), settings.served_topic).read()
    written = {message.value() for message in messages}
    assert written == {json.dumps(item, separators=(",", ":")).encode() for item in items}


def test_a_server_looks_columns_up_in_a_topic_that_it_follows(
    tracking_server: str, broker: str, make_topic: MakeTopic, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    team = Team(tracking_server, version_tree(tmp_path / "up"), tmp_path / "scratch")
    assert team.publish() == 1
    url, table = f"http://127.0.0.1:{free_port()}", make_topic("table", 2, cleanup_policy="compact")
    publish(broker, table, temp=-300.0)
    own = {
        "kafka.bootstrap.servers": broker,
        "event.key": "carrier",
        "lookup.topic": table,
        "lookup.columns": "{temp: {type: double}}",
        "lookup.folder": str(tmp_path / "tables"),
        "model.name": team.model,
        "model.tracking_uri": tracking_server,
        "model.cache_dir": str(tmp_path / "models"),
        "serve.port": url.rpartition(":")[2],
        "serve.drain_seconds": "0",
    }
    stopping = StopRequest(None)
    settings = load_settings(None, [f"{key}={value}" for key, value in own.items()], {})
    with httpx.Client(base_url=url, trust_env=False) as client, scoring_server(settings, stopping) as server:
        running = threading.Thread(target=server.run)
        running.start()
        try:
            eventually(lambda: client.get("/ready").status_code == 200, timeout=PATIENCE)
            cold = client.post("/v1/score", json=event(temp=1.0))
            publish(broker, table, temp=300.0)
            warm = eventually(lambda: other_than(cold, client.post("/v1/score", json=event(temp=1.0))))
            row = {"carrier": "UA", "hour": 3, "temp": 300.0}
            by_mlflow = client.post("/invocations", json={"dataframe_records": [row]}).json()
            nobody = client.post("/v1/score", json=event(carrier="ZZ"))
        finally:
            stopping.ask()
            running.join(60)
    assert cold.headers["penstock-lookup"] == warm.headers["penstock-lookup"] == "fresh"
    assert by_mlflow["predictions"] == [warm.json()["prediction"]]
    assert nobody.headers["penstock-lookup"] == "missing"
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["serve-0"]


def test_a_server_whose_champion_is_not_there_answers_by_its_chain_until_it_is(
    tracking_server: str, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    team = Team(tracking_server, version_tree(tmp_path / "up"), tmp_path / "scratch")
    assert team.publish(champion=False) == 1
    url = f"http://127.0.0.1:{free_port()}"
    own = {
        "fallback.enabled": "true",
        "fallback.version": "{version: 1}",
        "model.name": team.model,
        "model.tracking_uri": tracking_server,
        "model.cache_dir": str(tmp_path / "models"),
        "serve.port": url.rpartition(":")[2],
        "serve.drain_seconds": "0",
    }
    stopping = StopRequest(None)
    settings = load_settings(None, [f"{key}={value}" for key, value in own.items()], {})
    with httpx.Client(base_url=url, trust_env=False) as client, scoring_server(settings, stopping) as server:
        running = threading.Thread(target=server.run)
        running.start()
        try:
            eventually(lambda: client.get("/ready").status_code == 200, timeout=PATIENCE)
            degraded = client.post("/v1/score", json=event())
            health = client.get("/health").json()["fallback"]
            team.saved = version_tree(tmp_path / "down", turned=True)
            assert team.publish() == 2

            def of_the_champion() -> httpx.Response | None:
                client.post("/model/reload")
                answer = client.post("/v1/score", json=event())
                return None if "degraded" in answer.json() else answer

            own_answer = eventually(of_the_champion, timeout=PATIENCE)
        finally:
            stopping.ask()
            running.join(60)
    assert (degraded.headers["penstock-degraded"], degraded.json()["model_version"]) == ("NOT_LOADED", 1)
    assert health["problem"] is None
    assert own_answer.json()["model_version"] == 2
    assert "penstock-degraded" not in own_answer.headers


def publish(broker: str, table: str, temp: float) -> None:
    """Write a record for the carrier of :func:`tests.support.servers.event`."""
    publisher = Publisher(broker, table)
    publisher.send(json.dumps({"temp": temp}).encode(), key="UA")
    publisher.finish(30)


def other_than(before: httpx.Response, answer: httpx.Response) -> httpx.Response | None:
    """Return an answer that has another prediction or probability."""
    return answer if answer.json()["probability"] != before.json()["probability"] else None


@pytest.mark.long
def test_a_version_without_a_compiled_form_is_served_by_a_session_of_the_servers_own(
    spark: SparkSession, tracking_server: str, tmp_path: Path
) -> None:
    with MlflowTracker(f"sqlite:///{tmp_path}/unused.db").run("saved", "saved") as run:
        run.save(with_a_cosine_transform(spark), SIGNATURE, tmp_path / "saved")
    flight = {"event_id": "e1", "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "distance": 99.0}
    with opened(tracking_server, tmp_path, spark=True, timeout_seconds=20) as scene:
        scene.team.saved = tmp_path / "saved"
        version = scene.team.publish()
        assert httpx.post(f"{scene.url}/model/reload", trust_env=False).status_code == 202
        eventually(lambda: scene.model()["version"] == version, timeout=PATIENCE)
        assert scene.model()["scorer"]["kind"] == "spark"
        answer = httpx.post(f"{scene.url}/v1/score", json=flight, trust_env=False, timeout=30)
        assert (answer.status_code, answer.json()["prediction"]) == (200, 1.0), answer.text
        others = psutil.Process(scene.process.pid).children(recursive=True)
        assert any("java" in other.name() for other in others)
        scene.process.send_signal(signal.SIGTERM)
        assert scene.process.wait(180) == 0, scene.log.read_text()[-5_000:]
        assert psutil.wait_procs(others, timeout=10)[1] == []


HASH = hashlib.sha256(b"a key").hexdigest()
WRONG = [
    pytest.param({"model.scorer": "spark"}, "", "model.scorer is spark", id="a scorer that needs Spark"),
    pytest.param(
        {"serve.rollout": "true", "event.id": "null"}, "", "event.key or event.id", id="a rollout without identities"
    ),
    pytest.param(
        {"lookup.topic": "table", "lookup.columns": "{temp: {type: double}}", "event.key": "null"},
        "",
        "lookup.key or event.key",
        id="a lookup without a key",
    ),
    pytest.param({"serve.host": "0.0.0.0"}, "", "no key is asked for", id="open to others without a key"),
    pytest.param({}, "a key in plain text", "does not begin with a SHA-256", id="a key that is not hashed"),
    pytest.param({}, "# nobody yet\n", "has no key", id="a file without keys"),
    pytest.param(
        {"serve.tls_cert_file": "absent.pem", "serve.tls_key_file": "absent.pem"}, HASH, "absent.pem", id="no such file"
    ),
]


@pytest.mark.parametrize(("changes", "keys", "message"), WRONG)
def test_a_server_with_wrong_settings_does_not_start(
    tmp_path: Path, changes: dict[str, str], keys: str, message: str
) -> None:
    own = {"model.tracking_uri": "http://127.0.0.1:1", "model.cache_dir": str(tmp_path / "models"), "serve.port": "0"}
    if keys:
        (tmp_path / "keys").write_text(keys)
        own["serve.api_keys_file"] = str(tmp_path / "keys")
    settings = load_settings(None, [f"{key}={value}" for key, value in {**own, **changes}.items()], {})
    with pytest.raises(ConfigurationError, match=message) as problem, scoring_server(settings, StopRequest(None)):
        pass
    assert problem.value.exit_code == 2
    assert "a key in plain text" not in str(problem.value)
