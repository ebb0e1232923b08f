"""``penstock drift run`` as a process: killed and started again, it counts every prediction exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer
from mlflow import MlflowClient

from schemas.drift import SummaryRecord
from schemas.prediction import BINS, id_prefix
from streaming.adapters.kafka.drift import read_summaries
from streaming.models import profile
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.ref import ModelVersion
from streaming.outputs.envelope import Stamp
from streaming.outputs.headers import constant, varying
from tests.support.commands import ROOT, command, environment
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.versions import version_files

PATIENCE = 180.0
PARTITIONS, HOURS, ROWS = 2, 12, 600
PROFILE = ReferenceProfile((ColumnProfile("distance", "numeric", {0: 500, 1: 500}, edges=(50.0,)),), 1000)


def registered(uri: str, name: str, folder: Path) -> ModelVersion:
    """Register a version whose profile is all that the drift job reads of it."""
    tree = version_files(folder)
    (tree / profile.PATH).parent.mkdir()
    (tree / profile.PATH).write_text(PROFILE.to_json())
    client = MlflowClient(uri)
    run = client.create_run("0").info
    client.log_artifacts(run.run_id, str(tree), "model")
    client.create_registered_model(name)
    made = client.create_model_version(name, f"{run.artifact_uri}/model", run.run_id)
    return ModelVersion(name, int(made.version), run.run_id)


@dataclass
class Scene:
    """Predictions on a topic, and the job that counts them."""

    servers: str
    topic: str
    config: Path
    version: ModelVersion
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def publish(self, hours: range) -> None:
        """Send what a scoring job of the version would: in each hour two thirds of the rows are in the upper bin."""
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 20})
        stamp = Stamp("features", self.version, "champion", "2013-01-02T00:00:00.000Z")
        shuffled = random.Random(hours.start)
        for partition in range(PARTITIONS):
            fixed = constant(stamp, partition, "watched")
            for number, hour in enumerate(hour for hour in hours for _ in range(ROWS // PARTITIONS)):
                minute = shuffled.randrange(60)
                own = varying(
                    f"{id_prefix(self.version.name, 'champion', 'features')}{partition}:{number}",
                    number,
                    f"2013-01-01T{hour:02}:{minute:02}:00.000Z",
                    None,
                )
                headers = [*fixed, *own, (BINS, bytes([1 if number % 3 else 0]))]
                producer.produce(f"{self.topic}", b"{}", partition=partition, headers=headers)
                producer.poll(0)
        assert producer.flush(30) == 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command("drift", "run", "--config", str(self.config)),
                cwd=ROOT,
                env=environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def told(self) -> list[SummaryRecord]:
        return list(read_summaries({"bootstrap.servers": self.servers}, f"{self.topic}.drift"))

    def wait_for(self, windows: int) -> None:
        def enough() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-5_000:]
            return len({one.window.id for one in self.told()}) >= windows

        eventually(enough, timeout=PATIENCE)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(180)


@pytest.fixture
def scene(broker: str, make_topic: MakeTopic, tracking_server: str, tmp_path: Path) -> Iterator[Scene]:
    topic = make_topic("predictions", partitions=PARTITIONS, retention_ms=-1)
    letters = make_topic("letters", partitions=PARTITIONS, retention_ms=-1)
    make_topic("unused", partitions=1)
    version = registered(tracking_server, topic, tmp_path / "version")
    settings = {
        "application": "watched",
        "kafka": {"bootstrap.servers": broker},
        "output": {"predictions": topic, "dead_letters": letters, "drift": f"{topic}.drift"},
        "model": {"name": topic, "tracking_uri": tracking_server, "cache_dir": str(tmp_path / "models")},
        "drift": {
            "window_seconds": 3600,
            "lateness_seconds": 0,
            "checkpoint": str(tmp_path / "checkpoint"),
            "trigger_seconds": 0.2,
            "max_rows_per_batch": 700,  # several batches a window, and a kill in the middle of one
            "metrics_port": None,
        },
    }
    config = tmp_path / "penstock.yaml"
    config.write_text(yaml.safe_dump(settings))
    made = Scene(broker, topic, config, version, tmp_path / "drift.log")
    made.publish(range(HOURS))
    made.start()
    yield made
    if made.process.poll() is None:
        made.kill()


@pytest.mark.long
def test_a_killed_job_counts_every_prediction_once_and_publishes_no_window_in_two_versions(scene: Scene) -> None:
    scene.wait_for(3)
    scene.kill()
    scene.publish(range(HOURS, HOURS + 4))
    scene.start()
    scene.wait_for(HOURS)
    scene.kill()
    scene.start()
    scene.wait_for(HOURS + 3)
    scene.process.send_signal(signal.SIGTERM)
    assert scene.process.wait(180) == 0, scene.log.read_text()[-5_000:]
    told = scene.told()
    by_id: dict[str, set[str]] = {}
    for one in told:
        by_id.setdefault(one.window.id, set()).add(one.to_json())
    assert all(len(versions) == 1 for versions in by_id.values()), "a window was told in two ways"
    windows = {one.window.start: one for one in told}
    assert [start[11:13] for start in sorted(windows)] == [f"{hour:02}" for hour in range(HOURS + 3)]
    assert {(one.rows, one.late) for one in windows.values()} == {(ROWS, 0)}
    states = [windows[start].state for start in sorted(windows)]
    assert states == ["warning"] + ["drift"] * (HOURS + 2)
    assert windows[max(windows)].columns[0].since == min(windows)
