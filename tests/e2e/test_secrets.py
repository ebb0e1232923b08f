"""Canary secrets in every place of the configuration, and then looked for in everything that a job lets out."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from streaming.accounting.subscriber import Subscriber
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.local.processes import free_port
from tests.support.commands import penstock
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job, Load, Outputs
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline

CANARIES = {
    "sasl": 'Canary "Sasl\\1',
    "oauth": "CanaryOauth-2",
    "passphrase": "CanaryPassphrase-3",
    "tracking": "CanaryTracking-4",
    "hook path": "CanaryHookPath-5",
    "hook token": "CanaryHookToken-6",
    "hook secret": "CanaryHookSecret-7",
    "admin": "CanaryAdmin-8",
    "azure": "CanaryAzure-9",
    "s3": "CanaryS3-10",
    "java option": "CanaryJavaOption-11",
}
ANSWERS = ("/readyz", "/livez", "/v1/model", "/metrics")
PAGES = ("/environment/", "/SQL/", "/jobs/", "/stages/", "/StreamingQuery/", "/executors/", "/api/v1/applications")


class Line:
    """A TCP connection to a server that can be cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and take no more."""
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def settings(line: Line, ui_port: int, events: Path) -> dict[str, dict[str, Any]]:
    events.mkdir()
    return {
        "kafka": {
            "sasl.username": "penstock",
            "sasl.password": CANARIES["sasl"],
            "sasl.oauthbearer.config": f"principal=x secret={CANARIES['oauth']}",
            "ssl.key.password": CANARIES["passphrase"],
        },
        "model": {"tracking_uri": f"http://user:{CANARIES['tracking']}@127.0.0.1:{line.port}"},
        "hooks": {
            "webhook_url": f"http://127.0.0.1:9/{CANARIES['hook path']}?token={CANARIES['hook token']}",
            "webhook_secret": CANARIES["hook secret"],
            "webhook_attempts": 2,
        },
        "http": {"admin_token": CANARIES["admin"]},
        "log": {"level": "debug"},
        "spark": {
            "conf": {
                "spark.ui.enabled": True,
                "spark.ui.port": ui_port,
                "spark.eventLog.enabled": True,
                "spark.eventLog.dir": events.as_uri(),
                "spark.eventLog.compress": False,
                "spark.hadoop.fs.azure.account.key.x.dfs.core.windows.net": CANARIES["azure"],
                "spark.hadoop.fs.s3a.secret.key": CANARIES["s3"],
                "spark.hadoop.options": f"-Djavax.net.ssl.trustStorePassword={CANARIES['java option']}",
            }
        },
    }


@pytest.fixture
def line(tracking_server: str) -> Iterator[Line]:
    made = Line(int(tracking_server.rpartition(":")[2]))
    yield made
    made.cut()


def spelled(secret: str) -> set[str]:
    """Return the secret as it is, in JSON, and what base64 makes of it in the midst of other bytes."""
    encoded = {b64encode(b"x" * shift + secret.encode())[4 if shift else 0 : -4].decode() for shift in range(3)}
    return {secret, json.dumps(secret)[1:-1], *encoded}


def leaks(text: str) -> list[str]:
    return [name for name, secret in CANARIES.items() if any(form in text for form in spelled(secret))]


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses on which a process and all it started accept connections."""
    family = [process, *process.children(recursive=True)]
    sockets = [c for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    return {each.laddr.ip.removeprefix("::ffff:") for each in sockets}  # as Java's sockets for both families say


def record_text(subscriber: Subscriber) -> str:
    return "\n".join(f"{record.key} {record.value} {record.headers}" for record in subscriber.read())


@pytest.mark.long
def test_no_secret_leaves_a_job_and_sparks_pages_are_for_this_machine_alone(
    spark: SparkSession, broker: str, make_topic: MakeTopic, tracking_server: str, line: Line, tmp_path: Path
) -> None:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved", 1.0), tmp_path)
    team.publish()
    ui, event_log = f"http://127.0.0.1:{free_port()}", tmp_path / "events"
    changes = settings(line, int(ui.rpartition(":")[2]), event_log)
    changes["kafka"]["bootstrap.servers"] = broker
    job = Job(broker, topic, team, tmp_path / "job", changes)
    subscribers = {name: Subscriber(broker, f"{topic}.{name}") for name in ("models", "ledger")}
    outputs = Outputs(broker, topic)
    try:
        job.start()
        with Load(broker, topic) as load:
            outputs.wait_for(200)
        outputs.wait_for(load.sent)
        line.cut()
        eventually(lambda: "registry_down" in record_text(subscribers["models"]), timeout=PATIENCE)
        eventually(lambda: "hook failed" in job.text(), timeout=PATIENCE)
        with httpx.Client(trust_env=False, follow_redirects=True, timeout=PATIENCE) as client:
            answers = {path: client.get(job.url + path).text for path in ANSWERS}
            refused = client.post(f"{job.url}/v1/hold", json={"version": CANARIES["admin"]})
            pages = {path: client.get(ui + path).text for path in PAGES}
            own = f"/api/v1/applications/{json.loads(pages['/api/v1/applications'])[0]['id']}/environment"
            pages["settings"] = client.get(ui + own).text
        addresses = listening(psutil.Process(job.process.pid))
        assert job.stop() == 0
        topics = {name: record_text(subscriber) for name, subscriber in subscribers.items()}
        topics["dead letters"] = record_text(outputs.dead_letters)
        shown = penstock("config", "show", "-c", str(job.config))
    finally:
        for subscriber in subscribers.values():
            subscriber.close()
        outputs.close()
        job.close()
    log, lines = job.text(), "".join(file.read_text() for file in event_log.rglob("*") if file.is_file())
    everything = {**answers, **pages, **topics, "log": log, "event log": lines}
    everything |= {"hold": refused.text, "shown": shown.stdout + shown.stderr}
    assert {name: leaks(text) for name, text in everything.items() if leaks(text)} == {}
    assert addresses == {"127.0.0.1"}
    # What would have shown them was there.
    assert [text for text in (pages["settings"], lines) if "fs.azure.account.key.x" not in text] == []
    assert f"http://user:***@127.0.0.1:{line.port}" in topics["models"]
    assert '"level": "debug"' in log


def test_a_run_at_the_tracking_server_has_no_secret_among_its_parameters(tracking_server: str) -> None:
    with MlflowTracker(tracking_server).run("secrets", "secrets") as run:
        run.log({"data": "s3a://key:Canary-12@bucket/rides", "rows": 7}, {}, {})
    parameters = MlflowClient(tracking_server).get_run(run.run_id).data.params
    assert parameters == {"data": "s3a://key:***@bucket/rides", "rows": "7"}
