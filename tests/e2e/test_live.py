"""The live engine as a user runs it: refused where it cannot keep a promise, and killed in each phase of a handover."""

from __future__ import annotations

import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from streaming.failpoints import HIT, LIVE
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job, Load, Outputs, version_of
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline

PARTITIONS = 2
KILLED_AT = [name for name in LIVE if name in ("live.planned", "live.caught_up")]
"""Of the six phases the two in which most is under way: a kill and a start take a minute."""
REAL_TIME = {"kind": "live", "checkpoint_seconds": 5}


@pytest.fixture(scope="module")
def model(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(spark, tmp_path_factory.mktemp("saved") / "model", 1.0)


@pytest.fixture
def team(tracking_server: str, model: Path, tmp_path: Path) -> Team:
    made = Team(tracking_server, model, tmp_path)
    assert made.publish() == 1
    return made


def serves(outputs: Outputs, version: int) -> bool:
    """Whether the latest predictions are of this version alone."""
    records = sorted(outputs.predictions.read(), key=lambda record: record.timestamp)
    return {version_of(record) for record in records[-20:]} == {version}


@pytest.mark.long
def test_a_driver_killed_in_the_middle_of_a_handover_loses_nothing(
    broker: str, make_topic: MakeTopic, team: Team, tmp_path: Path
) -> None:
    topic = make_topic("features", partitions=PARTITIONS, retention_ms=-1)
    armed = tmp_path / "failpoints"
    (armed / HIT).mkdir(parents=True)
    engine = {**REAL_TIME, "checkpoint": str(tmp_path / "checkpoint"), "lease_seconds": 6, "failpoints": str(armed)}
    job = Job(broker, topic, team, tmp_path / "job", {"engine": engine, "spark": {"master": "local[4,4]"}})
    outputs, load = Outputs(broker, topic), Load(broker, topic)
    job.start()
    try:
        with load:
            for version, name in enumerate(KILLED_AT, 1):
                eventually(partial(serves, outputs, version), timeout=PATIENCE)
                assert team.publish() == version + 1
                (armed / name).write_text("kill")
                assert job.process.wait(PATIENCE) == -signal.SIGKILL
                job.start()
            eventually(partial(serves, outputs, len(KILLED_AT) + 1), timeout=PATIENCE)
        eventually(lambda: set(outputs.places()) == set(load.delivered), timeout=PATIENCE)
        assert job.stop() == 0
    finally:
        job.close()
        outputs.close()
    hit = Counter(path.name.rsplit(".", 2)[0] for path in (armed / HIT).iterdir())
    assert hit == dict.fromkeys(KILLED_AT, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": {**REAL_TIME, "delivery": "exactly-once"}}, "engine.kind live delivers at least once"),
        ({"engine": REAL_TIME, "spark": {"master": "local[2]"}}, "the live engine needs 4 task slots and has 2"),
    ],
    ids=["exactly-once is asked for", "too few task slots"],
)
def test_it_is_refused_before_spark_starts_with_the_reason(
    changes: dict[str, dict[str, object]], message: str, broker: str, make_topic: MakeTopic, team: Team, tmp_path: Path
) -> None:
    topic = make_topic("features", partitions=PARTITIONS)
    job = Job(broker, topic, team, tmp_path / "job", changes)
    job.spawn()
    assert job.process.wait(180) == 2
    assert message in " ".join(job.text().split())
    job.close()
