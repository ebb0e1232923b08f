"""The README's spark-submit command, word for word, where nothing of Penstock is installed but the zip it is given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from jobs.bundle import write_bundle
from tests.support.documents import blocks
from tests.support.engine import event
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.subscribers import confluent
from tests.support.team import Team, save_pipeline

PATIENCE = 240.0
EACH = 40


class Site:
    """A folder with what the command names and nothing else, on a machine where Penstock is not installed."""

    def __init__(self, folder: Path, root: Path, settings: Mapping[str, object]) -> None:
        self.folder = folder
        (folder / "jobs").mkdir()
        shutil.copy(root / "jobs" / "score.py", folder / "jobs")
        (folder / ".penstock").mkdir()
        (folder / ".penstock" / "jars").symlink_to(root / ".penstock" / "jars")
        write_bundle(folder / "dist" / "penstock-app.zip")
        (folder / "penstock.yaml").write_text(yaml.safe_dump(settings))
        self._make_environment()
        self.command = next(text for _, text in blocks(root / "README.md", "sh") if "spark-submit" in text)
        self.log = folder / "log"
        self.started: list[psutil.Process] = []

    def _make_environment(self) -> None:
        """The dependencies come by a path file; the checkout's own path file is not read from there."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        packages = next(venv.glob("lib/python*/site-packages"))
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for name in ("spark-submit", "find-spark-home", "find_spark_home.py"):
            shutil.copy(Path(sysconfig.get_path("scripts")) / name, venv / "bin")

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPARK_HOME")}

    def submit(self) -> tuple[psutil.Process, psutil.Process]:
        """Start it; return the shell that runs the command, and the driver, a Python that spark-submit's JVM starts."""
        with self.log.open("ab") as out:
            shell = psutil.Popen(
                ["bash", "-ec", self.command], cwd=self.folder, env=self.environment, stdout=out, stderr=out
            )
        self.started.append(shell)

        def driver() -> psutil.Process | None:
            assert shell.is_running(), self.log.read_text()[-3_000:]
            return next((p for p in shell.children(recursive=True) if runs_the_job(p)), None)

        found = eventually(driver, timeout=PATIENCE)
        self.started += [found, *found.children(recursive=True)]
        return shell, found

    def kill(self) -> None:
        for process in self.started:
            with suppress(psutil.NoSuchProcess):  # it may end by itself at any moment
                for child in process.children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
                process.kill()


def runs_the_job(process: psutil.Process) -> bool:
    """The shell's helpers come and go; one that is just ending has no command line to read."""
    try:
        return any(argument.endswith("jobs/score.py") for argument in process.cmdline()[1:2])
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    return make_topic("features", partitions=2, retention_ms=-1)


@pytest.fixture
def site(
    spark: SparkSession, broker: str, topic: str, tracking_server: str, root: Path, tmp_path: Path
) -> Iterator[Site]:
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved"), tmp_path)
    assert team.publish() == 1
    (tmp_path / "site").mkdir()
    settings = {
        "application": topic,
        "kafka": {"bootstrap.servers": broker},
        "input": {"topic": topic},
        "output": {"predictions": f"{topic}.out", "model_events": f"{topic}.models", "ledger": f"{topic}.ledger"},
        "model": {"name": team.model, "tracking_uri": tracking_server, "alias": "champion"},
        "http": {"enabled": False},
    }
    made = Site(tmp_path / "site", root, settings)
    yield made
    made.kill()


def send(broker: str, topic: str, first: int) -> None:
    producer = Producer({"bootstrap.servers": broker})
    for number in range(first, first + EACH):
        producer.produce(topic, event(number), f"k{number}")
    assert producer.flush(30) == 0


def scored(broker: str, topic: str) -> list[str]:
    return sorted(json.loads(record.value)["event_id"] for record in confluent(broker, f"{topic}.out"))


def test_penstock_is_importable_from_the_zip_alone(site: Site) -> None:
    python = str(site.folder / ".venv" / "bin" / "python")
    probe = [python, "-c", "import pyspark, mlflow; import streaming"]
    without = subprocess.run(
        probe, cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "No module named 'streaming'" in without.stderr


def test_the_documented_command_scores_every_event_once_whichever_process_is_stopped(
    site: Site, broker: str, topic: str
) -> None:
    send(broker, topic, 0)
    shell, driver = site.submit()
    expected = sorted(f"e{number}" for number in range(EACH))
    eventually(lambda: len(scored(broker, topic)) >= EACH, timeout=PATIENCE, every=1.0)
    assert scored(broker, topic) == expected
    driver.terminate()
    assert shell.wait(60) == 0, site.log.read_text()[-3_000:]

    send(broker, topic, EACH)
    shell, driver = site.submit()
    expected = sorted(f"e{number}" for number in range(2 * EACH))
    eventually(lambda: len(scored(broker, topic)) >= 2 * EACH, timeout=PATIENCE, every=1.0)
    assert scored(broker, topic) == expected
    jvm = driver.parent()
    assert jvm is not None
    jvm.terminate()
    assert shell.wait(60) == 143
    eventually(lambda: not driver.is_running(), timeout=30)
