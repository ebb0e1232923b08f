"""The latency harness with a real broker: what a system does to events is what its result says."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.latency.plan import Plan
from benchmarks.latency.run import Result, run
from benchmarks.latency.stages import Load
from benchmarks.latency.system import Wiring
from benchmarks.latency.trial import Bench
from streaming.local.processes import ManagedProcess

RATE, SECONDS, WARM_UP = 200, 2.0, 0.5
PATIENCE = 3.0
PLAN = Plan(100, (Load(RATE, SECONDS, WARM_UP),), burst=300)
SCORER = """
import json, sys
from confluent_kafka import Consumer, Producer

bootstrap, source, sink, faulty = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": source, "auto.offset.reset": "earliest"})
consumer.subscribe([source])
producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
while True:
    message = consumer.poll(0.05)
    producer.poll(0)
    if message is None:
        continue
    number = int(json.loads(message.value())["event_id"])
    place = number % 100 if faulty and number >= 100 else 0
    prediction = number % 2 + (0.5 if place == 8 else 0.0)
    for _ in range({7: 0, 9: 2}.get(place, 1)):
        producer.produce(sink, json.dumps({"event_id": str(number), "prediction": prediction}))
"""
"""Scores an even event 0 and an odd one 1. A faulty one loses, mistakes and repeats one of a hundred each, later on."""


@dataclass(frozen=True)
class Script:
    code: str = SCORER
    faulty: str = ""
    name: str = "script"
    version: str = "1"
    delivery: str = "at-least-once"

    def start(self, wiring: Wiring) -> ManagedProcess:
        command = [sys.executable, "-c", self.code, wiring.bootstrap, wiring.source, wiring.sink, self.faulty]
        return ManagedProcess(self.name, command, log=wiring.folder / "log", environment=os.environ)


def measured(broker: str, folder: Path, system: Script) -> Result:
    model = folder / "model"
    model.mkdir()
    (model / "bodies.jsonl").write_text('"delay":1}\n"delay":2}\n')
    np.save(model / "expected.npy", np.array([0.0, 1.0]))
    return run(Bench(broker, "flights", model, folder / "runs", os.getpid(), PATIENCE), system, PLAN, 1)


def wrong(result: Result) -> list[str]:
    """Return what is wrong with the system; that the feeder was late is said too, on a busy machine."""
    return [problem for problem in result.problems if "the feeder was late" not in problem]


@pytest.mark.long
def test_a_sound_system_has_every_event_once_and_the_numbers_of_each_stage(broker: str, tmp_path: Path) -> None:
    result = measured(broker, tmp_path, Script())
    assert wrong(result) == []
    start, load, drain = result.stages
    assert [start["kind"], load["kind"], drain["kind"]] == ["start", "load", "drain"]
    assert [stage["events"] for stage in result.stages] == [100, 500, 300]
    assert all((stage["missing"], stage["duplicates"], stage["wrong"]) == (0, 0, 0) for stage in result.stages)
    assert load["measured"] == len(load["latencies_us"]) == RATE * SECONDS
    assert 0 < load["latency_ms"]["p50"] <= load["latency_ms"]["p99"] <= load["latency_ms"]["max"]
    assert drain["eps"] > 0
    assert set(load["cores_of_all"]) == {"system", "broker", "reader", "feeder"}


@pytest.mark.long
def test_what_a_system_loses_mistakes_and_repeats_is_told(broker: str, tmp_path: Path) -> None:
    result = measured(broker, tmp_path, Script(faulty="yes"))
    assert [(s["missing"], s["wrong"], s["duplicates"]) for s in result.stages] == [(0, 0, 0), (5, 5, 5), (3, 3, 3)]
    assert wrong(result) == [
        "5 of 500 events have no output",
        "5 predictions are not Spark's",
        "3 of 300 events have no output",
        "3 predictions are not Spark's",
    ]


@pytest.mark.long
def test_a_system_that_ends_is_told_with_the_end_of_its_log(broker: str, tmp_path: Path) -> None:
    result = measured(broker, tmp_path, Script("raise SystemExit('no model today')"))
    (problem,) = wrong(result)
    assert "ended with code 1" in problem
    assert "no model today" in problem
