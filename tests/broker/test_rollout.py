"""A rollout over a real broker: its records in the ledger, driver after driver, and what the topics tell of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.verbs.rollout.order import give
from jobs.verbs.rollout.status import statuses
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.ledger_tail import append_record
from streaming.clock import isoformat, system_clock
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration
from tests.support.arms import Topics, assert_shares
from tests.support.engine import Bench, event
from tests.support.models import fit_pipeline, load, package

KEYS = 2_000
NOW = timedelta(0)


@pytest.fixture(scope="module")
def candidate(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A second version, which answers the other way round than the first."""
    made = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("candidate"), version=2)
    return load(spark, made)


def step(share: float) -> RolloutStep:
    return RolloutStep(share, {"candidate events": 20}, most=NOW, on_not_told=OnNotTold.PROMOTE)


class Operator:
    """Somebody with the command line beside the job."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.config = bench.home / "penstock.yaml"
        bench.home.mkdir(exist_ok=True)
        self.config.write_text(yaml.safe_dump(bench.settings.model_dump(mode="json", exclude_unset=True)))

    def declares(self, *shares: float) -> None:
        settings, plan = self.bench.settings, RolloutPlan(tuple(map(step, shares)), probation=step(1.0))
        declared = Declaration(
            name="tiny-2",
            application=settings.application,
            candidate=ModelKey("tiny", 2),
            salt="tiny-2",
            plan=plan,
            at=isoformat(system_clock()),
        )
        append_record(settings.kafka, settings.output.ledger, settings.application, declared.to_dict())

    def orders(self, order: str) -> dict[str, Any]:
        return give(self.config, (), order)

    def status(self) -> dict[str, Any]:
        with statuses(self.config, ()) as now:
            return now()


def scored(bench: Bench, numbers: range) -> None:
    """Send an event of each key, and let a new driver score all there is."""
    publisher = Publisher(bench.servers, bench.topic)
    for number in numbers:
        publisher.send(event(number), partition=number % 2, key=f"N{number % KEYS}".encode())
    publisher.finish(30)
    bench.run()


def scored_until_planned(bench: Bench) -> None:
    """Start drivers until one has planned a batch of the rollout: the first may plan before it has read the order."""
    for attempt in range(10):
        scored(bench, range(attempt, attempt + 1))
        if list(Topics(bench.read).plans.values())[-1].arms.weights:
            return
    raise AssertionError("no driver has followed the order")


def test_a_rollout_goes_its_steps_from_driver_to_driver_and_the_topics_tell_all_of_it(
    bench: Bench, candidate: ServedModel
) -> None:
    bench.planned = {candidate.key: candidate}
    scored(bench, range(100))
    operator = Operator(bench)
    with pytest.raises(ConfigurationError, match="has no rollout"):
        operator.status()
    operator.declares(0.05, 0.25)
    with pytest.raises(ConfigurationError, match=r"in the state planned .* cannot pause"):
        operator.orders("pause")
    assert "no running job has read it yet" in operator.orders("start")["why"]
    scored_until_planned(bench)
    for batch in range(4):
        scored(bench, range(batch * KEYS, (batch + 1) * KEYS))
    topics = Topics(bench.read)
    by_role = topics.check()
    assert by_role[CANDIDATE] > 0
    epochs = topics.keys_by_epoch()
    for epoch, share in ((1, 0.05), (2, 0.25)):
        assert_shares(epochs[epoch], share)
    first, second = (assignment_of(topics, epoch) for epoch in (1, 2))
    keys = [f"N{number}".encode() for number in range(KEYS)]
    back = [key for key in keys if first.arm_of(key, "") == CANDIDATE and second.arm_of(key, "") == CHAMPION]
    assert back == [], "keys that moved back"
    # The third driver finds the evidence complete and promotes it; from then on it is the champion.
    assert set(epochs) >= {1, 2, 4}
    status = operator.status()
    assert (status["phase"], status["rollout"], status["pending"]) == ("promoted", "tiny-2", [])
    assert [t.state.phase.value for t in bench.seen.rollouts] == ["step", "step", "promoting", "probation", "promoted"]
    with pytest.raises(ConfigurationError, match="cannot abort"):
        operator.orders("abort")


def assignment_of(topics: Topics, epoch: int) -> ArmAssignment:
    """Return the assignment of the plans of a weight epoch, which is the same in all of them."""
    arms = [plan.arms for plan in topics.plans.values() if plan.arms.weights and plan.arms.weights.epoch == epoch]
    (assignment,) = {planned.assignment for planned in arms}
    assert assignment is not None
    return assignment


@pytest.mark.long
def test_an_abort_gives_every_key_back_with_the_next_batch(bench: Bench, candidate: ServedModel) -> None:
    bench.planned = {candidate.key: candidate}
    scored(bench, range(20))
    operator = Operator(bench)
    operator.declares(0.5)
    operator.orders("start")
    scored_until_planned(bench)
    operator.orders("abort")
    scored(bench, range(220, 420))
    topics = Topics(bench.read)
    topics.check()
    assert [len(plan.arms.arms) for plan in topics.plans.values()][-2:] == [2, 1]
    status = operator.status()
    assert (status["phase"], status["share"], status["finished"]) == ("aborted", 0.0, True)
    records = [json.loads(message.value()) for message in bench.read(".ledger")]
    numbers = [record["number"] for record in records if record.get("kind") == "transition"]
    assert numbers == [1, 2, 3]
