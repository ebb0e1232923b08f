"""Many models as a user runs them, with a real registry: each swaps under load, and the job is killed on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Outgoing
from streaming.accounting.subscriber import Subscriber
from streaming.adapters.mlflow.registry import MlflowRegistry
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job
from tests.support.kafka import MakeTopic
from tests.support.many import logged_regression, many_event
from tests.support.team import Team

TENANTS = ("a", "b", "c")
RATE = 150
Note = tuple[str, int]
"""An event's tenant and number."""


@pytest.fixture
def teams(tracking_server: str, tmp_path: Path) -> dict[str, Team]:
    """A team for each tenant, whose model's version n adds 1,000 n to the event's number."""
    teams = {}
    for tenant in TENANTS:
        saved = logged_regression(_folder(tmp_path, tenant, 1), 1_000.0)
        teams[tenant] = Team(tracking_server, saved, tmp_path, f"many-{tmp_path.name}-{tenant}".replace("_", "-"))
        assert teams[tenant].publish() == 1
    return teams


def _folder(home: Path, tenant: str, version: int) -> Path:
    folder = home / f"{tenant}-{version}"
    folder.mkdir()
    return folder


def traffic() -> Iterator[Outgoing[Note]]:
    for number in count():
        tenant = TENANTS[number % 3]
        yield Outgoing(many_event(number, tenant), (tenant, number), key=tenant, partition=number % 2)


@pytest.mark.long
def test_one_search_names_the_versions_of_all_models(teams: dict[str, Team]) -> None:
    first = teams["a"]
    prefix = first.model.removesuffix("-a")
    registry = MlflowRegistry(first.uri, 30.0)
    expected = {team.model: 1 for team in teams.values()}
    assert registry.aliased(f"{prefix}-", "champion") == expected
    assert expected.items() <= registry.aliased("", "champion").items()
    assert registry.aliased(f"{prefix}-", "nobody") == {}
    assert registry.aliased("it's", "champion") == {}


@pytest.mark.long
def test_every_model_swaps_under_load_and_a_kill_loses_doubles_and_mixes_nothing(
    broker: str, make_topic: MakeTopic, teams: dict[str, Team], tmp_path: Path
) -> None:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    pattern = teams["a"].model.removesuffix("a") + "{tenant}"
    many = {"route": {"field": "tenant", "model": pattern}}
    job = Job(broker, topic, teams["a"], tmp_path / "job", {"models": many})
    job.start()
    load, predictions = SteadyLoad[Note](broker, topic, RATE), Subscriber(broker, f"{topic}.out")

    def versions() -> set[tuple[str, int]]:
        values = [json.loads(record.value) for record in predictions.read()]
        return {(value["model_name"][-1], value["model_version"]) for value in values}

    load.start(traffic())
    try:
        eventually(lambda: versions() == {(tenant, 1) for tenant in TENANTS}, timeout=PATIENCE)
        for tenant, team in teams.items():
            team.saved = logged_regression(_folder(tmp_path, tenant, 2), 2_000.0)
            assert team.publish() == 2
            if tenant == "b":
                eventually(lambda: ("b", 2) in versions(), timeout=PATIENCE, every=0.01)
                job.kill()
                job.start()
        eventually(lambda: {(tenant, 2) for tenant in TENANTS} <= versions(), timeout=PATIENCE)
        models = httpx.get(f"{job.url}/v1/model", trust_env=False).json()["models"]
        assert [(model["name"][-1], model["version"]) for model in models] == [(tenant, 2) for tenant in TENANTS]
    finally:
        load.stop()
    eventually(lambda: len(predictions.read()) >= len(load.delivered), timeout=PATIENCE)
    assert job.stop() == 0
    job.close()
    answers = Counter[tuple[int, int]]()
    last: dict[str, tuple[int, int]] = {}
    for record in sorted(predictions.records, key=lambda record: (record.partition, record.offset)):
        headers, value = dict(record.headers), json.loads(record.value)
        at = int(headers["penstock-source-partition"]), int(headers["penstock-source-offset"])
        answers[at] += 1
        tenant, number = load.delivered[at]
        assert value["model_name"].endswith(f"-{tenant}")
        assert value["prediction"] == 1_000.0 * value["model_version"] + number
        # A model's events are in order, and its versions follow each other.
        key = f"{tenant}{at[0]}"
        assert last.get(key, (-1, 0)) <= (at[1], value["model_version"])
        assert last.get(key, (-1, 0))[1] <= value["model_version"]
        last[key] = at[1], value["model_version"]
    assert answers == Counter(dict.fromkeys(load.delivered, 1))
    predictions.close()
