"""Many models in one job over a real broker: each event once, by its own model, also where a batch is tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException

from jobs.verbs.ledger.options import LedgerAtOptions
from jobs.verbs.ledger.run import answers
from streaming.failpoints import HIT
from tests.support.engine import Bench
from tests.support.many import many_event
from tests.support.many_registry import ManyHouse, ShelfRegistry

ROUTE = {"route": {"field": "tenant", "model": "churn-{tenant}"}}


@pytest.fixture
def registry(tmp_path: Path) -> ShelfRegistry:
    registry = ShelfRegistry(tmp_path / "registry")
    registry.register("churn-a", 1_000.0)
    registry.register("churn-b", 2_000.0)
    registry.register("churn-broken", 3_000.0)
    (registry.folder / "churn-broken" / "1" / "MLmodel").write_text("flavors: {python_function: {}}")
    return registry


@pytest.fixture
def houses() -> Iterator[list[ManyHouse]]:
    houses: list[ManyHouse] = []
    yield houses
    for house in houses:
        house.close()


def start(bench: Bench, registry: ShelfRegistry, houses: list[ManyHouse]) -> ManyHouse:
    """Let the bench be a new process of a job with these models."""
    house = ManyHouse(registry, bench.home / f"house-{len(houses)}")
    houses.append(house)
    house.follower.load_first()
    bench.slot, bench.many, bench.models = house.slot, house.follower, ROUTE
    return house


def answered(bench: Bench) -> list[tuple[str, str, int, float]]:
    """Return id, model, version and prediction of each prediction, and that the headers name the same model."""
    rows = []
    for message in bench.read(".out"):
        value, headers = json.loads(message.value()), dict(message.headers())
        assert headers["penstock-model-name"].decode() == value["model_name"]
        assert headers["penstock-model-version"].decode() == str(value["model_version"])
        rows.append((value["event_id"], value["model_name"], value["model_version"], value["prediction"]))
    return rows


def rejected(bench: Bench) -> list[tuple[str, str | None]]:
    """Return reason and model of each dead letter."""
    headers = [dict(message.headers()) for message in bench.read(".dlq")]
    names = [header.get("penstock-model-name") for header in headers]
    reasons = [header["penstock-reason"].decode() for header in headers]
    return [(reason, name.decode() if name else None) for reason, name in zip(reasons, names, strict=True)]


def ask(bench: Bench, offset: int) -> dict[str, Any]:
    settings = {
        "application": bench.application,
        "kafka.bootstrap.servers": bench.servers,
        "input.topic": bench.topic,
        "output.predictions": f"{bench.topic}.out",
        "output.ledger": f"{bench.topic}.ledger",
        "model.tracking_uri": "http://127.0.0.1:1",
        "model.timeout_seconds": "1",
    }
    overrides = [f"{name}={value}" for name, value in settings.items()]
    (answer,) = answers(None, overrides, LedgerAtOptions(partition=0, offset=offset))
    return answer


def test_each_event_is_answered_once_by_its_own_model_also_where_a_batch_is_tried_again_by_another_process(
    bench: Bench, registry: ShelfRegistry, houses: list[ManyHouse]
) -> None:
    house = start(bench, registry, houses)
    bench.send([many_event(1, "a"), many_event(2, "broken"), many_event(3, "b"), many_event(4, "nobody"), b"{"])
    bench.run()
    assert answered(bench) == [("e1", "churn-a", 1, 1001.0), ("e3", "churn-b", 1, 2003.0)]
    assert rejected(bench) == [("MODEL_NOT_LOADED", "churn-broken"), ("NO_MODEL", None), ("MALFORMED_JSON", None)]
    (report,) = bench.seen.reports
    assert {key: counts.predictions for key, counts in report.outcome.arms.items()} == {
        f"churn-{{tenant}}/{house.tables[-1].number}": 0, "churn-a/1": 1, "churn-b/1": 1, "churn-broken/1": 0,
    }  # fmt: skip

    # The driver dies with its batch planned; then model b moves, and another process takes the batch up.
    bench.failpoints = bench.home / "armed"
    (bench.failpoints / HIT).mkdir(parents=True)
    (bench.failpoints / "engine.planned").write_text("raise")
    bench.send([many_event(5, "a"), many_event(6, "b")])
    with pytest.raises(StreamingQueryException):
        bench.run()
    registry.register("churn-b", 2_500.0)
    again = start(bench, registry, houses)
    assert again.versions == {"churn-a": 1, "churn-b": 2, "churn-broken": None}
    bench.run()
    bench.send([many_event(7, "b")])
    bench.run()
    assert answered(bench)[2:] == [
        ("e5", "churn-a", 1, 1005.0), ("e6", "churn-b", 1, 2006.0), ("e7", "churn-b", 2, 2507.0),
    ]  # fmt: skip
    assert len(rejected(bench)) == 3

    records = [json.loads(message.value()) for message in bench.read(".ledger")]
    tables = {record["table"]: record for record in records if record["type"] == "models"}
    plans = [record for record in records if record["type"] == "plan"]
    assert [plan["role"] for plan in plans] == ["models"] * len(plans)
    assert {plan["version"] for plan in plans} <= set(tables)
    assert all(
        not part["arms"] if "arms" in part else True for r in records for part in r.get("partitions", {}).values()
    )
    assert (ask(bench, 6)["model"], ask(bench, 6)["version"]) == ("churn-b", 1)
    assert (ask(bench, 7)["model"], ask(bench, 7)["version"]) == ("churn-b", 2)
    broken = ask(bench, 1)
    assert (broken["found"], broken["model"], broken["output"]["reason"]) == (True, "churn-broken", "MODEL_NOT_LOADED")
    assert ask(bench, 3)["models"] == {"rule": "churn-{tenant}", "table": min(tables)}
