"""A model of each other library through the verbs: scored live, replayed and compared, scored from files, a profile."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from streaming.models.signature import UNNAMED
from tests.support.commands import ROOT, penstock
from tests.support.eventually import eventually
from tests.support.flavours import event_of, tensor_event
from tests.support.job import PATIENCE, Job, Outputs
from tests.support.kafka import MakeTopic
from tests.support.libraries import LIBRARIES, POINTS, ROWS, rows
from tests.support.team import Team


def events(name: str) -> list[bytes]:
    if "matrix" in name:
        return [tensor_event(row, number) for number, row in enumerate(POINTS.tolist())]
    return [event_of(row, number) for number, row in enumerate(rows().astype(object).to_numpy())]


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", LIBRARIES)
def test_every_verb_takes_the_model(
    name: str, broker: str, make_topic: MakeTopic, tracking_server: str, tmp_path: Path
) -> None:
    root, expected = LIBRARIES[name](tmp_path / "model")
    topic = make_topic("features", partitions=2, retention_ms=-1)
    team = Team(tracking_server, root, tmp_path)
    team.publish()
    job = Job(broker, topic, team, tmp_path / "job")
    outputs = Outputs(broker, topic)
    try:
        job.start()
        producer = Producer({"bootstrap.servers": broker})
        for number, event in enumerate(events(name)):
            producer.produce(topic, event, partition=number % 2)
        assert producer.flush(30) == 0
        outputs.wait_for(ROWS)
        assert job.stop() == 0
    finally:
        job.close()
        outputs.close()
    live = {value["event_id"]: value for value in (json.loads(r.value) for r in outputs.predictions.records)}
    assert [live[f"e{n}"]["prediction"] for n in range(ROWS)] == expected.argmax(axis=1).tolist()

    config, report = str(job.config), tmp_path / "report"
    replayed = penstock("replay", "-c", config, "--as-served", "--compare", str(report), cwd=ROOT, timeout=PATIENCE)
    assert replayed.returncode == 0, replayed.stderr
    compared = json.loads((report / "report.json").read_text())
    assert compared["disagreements"] == []

    table = pd.DataFrame([json.loads(event) for event in events(name)])
    table = pd.concat([table.assign(event_id=[f"{copy}-{n}" for n in table["event_id"]]) for copy in range(5)])
    (tmp_path / "in").mkdir()
    table.to_parquet(tmp_path / "in" / "a.parquet")
    batch = penstock("batch", "-c", config, "--in", str(tmp_path / "in"), "--out", str(tmp_path / "out"), cwd=ROOT)
    assert batch.returncode == 0, batch.stderr
    files = [row for path in (tmp_path / "out").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["event_id"]: row["probability"] for row in files} == {
        f"{copy}-{event_id}": value["probability"] for copy in range(5) for event_id, value in live.items()
    }

    arguments = ["-c", config, "--in", str(tmp_path / "in"), "--alias", "champion"]
    baseline = penstock("drift", "baseline", *arguments, cwd=ROOT)
    assert baseline.returncode == 0, baseline.stderr
    assert (UNNAMED in baseline.stderr) is ("matrix" in name), "what drift leaves out is said"
    job = Job(broker, topic, team, tmp_path / "profiled")
    again = Outputs(broker, topic)
    try:
        job.start()
        for number, event in enumerate(events(name)):
            producer.produce(topic, event, partition=number % 2)
        assert producer.flush(30) == 0
        eventually(lambda: again.count() >= 2 * ROWS, timeout=PATIENCE)
        assert job.stop() == 0
        last = again.predictions.records[-1]
        bins = dict(last.headers)["penstock-bins"]
        assert len(bins) == (2 if "matrix" in name else 6)
    finally:
        job.close()
        again.close()
