"""The README's spark-submit command, word for word, where nothing of Penstock is installed but the zip it is given."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from tests.support.documents import blocks
from tests.support.engine import event
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.site import PATIENCE, Site
from tests.support.subscribers import confluent
from tests.support.team import Team, save_pipeline

EACH = 40


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    return make_topic("features", partitions=2, retention_ms=-1)


@pytest.fixture
def site(
    spark: SparkSession, broker: str, topic: str, tracking_server: str, root: Path, tmp_path: Path
) -> Iterator[Site]:
    team = Team(tracking_server, save_pipeline(spark, tmp_path / "saved"), tmp_path)
    assert team.publish() == 1
    settings = {
        "application": topic,
        "kafka": {"bootstrap.servers": broker},
        "input": {"topic": topic},
        "output": {"predictions": f"{topic}.out", "model_events": f"{topic}.models", "ledger": f"{topic}.ledger"},
        "model": {"name": team.model, "tracking_uri": tracking_server, "alias": "champion"},
        "http": {"enabled": False},
    }
    command = next(text for _, text in blocks(root / "README.md", "sh") if "spark-submit" in text)
    made = Site(tmp_path / "site", command, settings)
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
        probe, cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert "No module named 'streaming'" in without.stderr


@pytest.mark.long
def test_the_documented_command_scores_every_event_once_whichever_process_is_stopped(
    site: Site, broker: str, topic: str
) -> None:
    send(broker, topic, 0)
    shell, driver = site.submit()
    expected = sorted(f"e{number}" for number in range(EACH))
    eventually(lambda: len(scored(broker, topic)) >= EACH, timeout=PATIENCE, every=1.0)
    assert scored(broker, topic) == expected
    driver.terminate()
    assert shell.wait(180) == 0, site.log.read_text()[-3_000:]

    send(broker, topic, EACH)
    shell, driver = site.submit()
    expected = sorted(f"e{number}" for number in range(2 * EACH))
    eventually(lambda: len(scored(broker, topic)) >= 2 * EACH, timeout=PATIENCE, every=1.0)
    assert scored(broker, topic) == expected
    jvm = driver.parent()
    assert jvm is not None
    jvm.terminate()
    assert shell.wait(180) == 143
    eventually(lambda: not driver.is_running(), timeout=30)
