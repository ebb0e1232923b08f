"""Two arms of one model over a real broker: each event once, by the arm that its key and the ledger's plan name.

Which arm that is, is recomputed from the topics alone: the input, and the plans and outcomes of the ledger.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.adapters.kafka.scan import stored
from streaming.engines import exact
from streaming.engines.arms import CANDIDATE
from streaming.failpoints import HIT
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs.read_back import Output, read_output
from streaming.rollout.intervals import CHAMPION
from streaming.scoring.pipeline import SparkPipeline
from tests.support.engine import Bench, event
from tests.support.models import fit_pipeline, load, package, retyped

Place = tuple[int, int]
HALF = {"version": 2, "share": 0.5, "salt": "flights-2"}
"""The setting ``model.arm``."""


@pytest.fixture(scope="module")
def candidate(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A second version, which answers the other way round than the first."""
    made = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("candidate"), version=2)
    return load(spark, made)


def send(bench: Bench, numbers: range, partition: int = 0) -> None:
    """Events of 11 keys and of none, and among them some that are rejected."""
    by_key: dict[bytes | None, list[bytes]] = {}
    for number in numbers:
        changes = {"carrier": 7} if number % 9 == 0 else {"event_id": ...} if number % 17 == 0 else {}
        key = None if number % 4 == 0 else f"N{number % 11}".encode()
        by_key.setdefault(key, []).append(event(number, **changes))
    for key, values in by_key.items():
        bench.send(values, partition, key=key)


@dataclass
class Topics:
    """What stands on an application's topics."""

    bench: Bench

    @cached_property
    def events(self) -> dict[Place, tuple[bytes | None, dict[str, Any]]]:
        """Key and fields of each event."""
        return {(m.partition(), m.offset()): (m.key(), json.loads(m.value())) for m in self.bench.read("")}

    @cached_property
    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(message.value()) for message in self.bench.read(".ledger")]

    @cached_property
    def plans(self) -> dict[str, Plan]:
        return {record["plan"]: Plan.from_dict(record) for record in self.ledger if record["type"] == "plan"}

    @cached_property
    def outputs(self) -> list[Output]:
        messages = [*self.bench.read(".out"), *self.bench.read(".dlq")]
        return [output for message in messages if (output := read_output(stored(message))) is not None]

    def outcomes(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for record in self.ledger:
            if record["type"] == "outcome":
                yield from ((int(partition), result) for partition, result in record["partitions"].items())

    def plan_of(self, place: Place) -> Plan:
        """Return the plan whose transaction wrote an event's output."""
        partition, offset = place
        writers = {
            plan
            for of, result in self.outcomes()
            for plan, start, end in result["segments"]
            if of == partition and start <= offset < end
        }
        (plan,) = writers
        return self.plans[plan]

    def expected(self, place: Place) -> tuple[str, ModelVersion]:
        """Return role and version by the plan and the event alone; an event without key and id is the champion's."""
        arms = self.plan_of(place).arms
        key, fields = self.events[place]
        role = CHAMPION
        if arms.assignment is not None and (key is not None or "event_id" in fields):
            role = arms.assignment.arm_of(key, fields.get("event_id", ""))
        return role, next(arm.version for arm in arms.arms if arm.role == role)

    def check(self) -> Counter[str]:
        """See that each event came out once, by its arm, and that the ledger counts it there; count them by arm."""
        places = Counter(output.source[1:] for output in self.outputs)
        assert places == Counter(self.events.keys()), "lost or doubled"
        by_role: Counter[str] = Counter()
        for output in self.outputs:
            _, partition, offset = output.source
            role, version = self.expected((partition, offset))
            by_role[role] += 1
            assert output.version == version.version, (output.kind, output.source)
            if output.kind == "prediction":
                value = json.loads(output.record.value or b"")
                assert (value["role"], value["run_id"], value["event_id"]) == (
                    role,
                    version.run_id,
                    self.events[partition, offset][1]["event_id"],
                )
        return by_role

    def counted(self) -> Counter[str]:
        """Return how many rows the ledger's outcomes say that each arm wrote."""
        counts: Counter[str] = Counter()
        for _, result in self.outcomes():
            for role, arm in result.get("arms", {}).items():
                counts[role] += arm["predictions"] + sum(arm["dead_letters"].values())
        return counts


def test_every_event_is_answered_once_by_its_arm(either_bench: Bench, candidate: ServedModel) -> None:
    either_bench.arm, either_bench.planned = HALF, {candidate.key: candidate}
    either_bench.rows_per_batch = 40
    for partition, numbers in enumerate((range(70), range(70, 130))):
        send(either_bench, numbers, partition)
    either_bench.run()
    topics = Topics(either_bench)
    by_role = topics.check()
    assert min(by_role[CHAMPION], by_role[CANDIDATE]) > 20
    assert topics.counted() == by_role
    assert {output.kind for output in topics.outputs} == {"prediction", "dead letter"}
    assert len(topics.plans) > 1
    answers = {(o.version, json.loads(o.record.value or b"")["prediction"]) for o in topics.outputs if o.model}
    assert {version for version, _ in answers} == {1, 2}


def in_a_transaction(armed: Path, patch: pytest.MonkeyPatch) -> None:
    """Kill one partition's worker as often as its task is tried, at last when all is sent and not committed.

    The driver ends there, too, instead of looking for rows on which the version throws.
    """
    for step in ("mark_read", "began", "produced", "offsets_sent"):
        (armed / f"writer.{step}").write_text("kill")
    patch.setattr(exact, "attempt", lambda run, model, *_: run(model))


def when_planned(armed: Path, patch: pytest.MonkeyPatch) -> None:
    (armed / "engine.planned").write_text("raise")


def when_written(armed: Path, patch: pytest.MonkeyPatch) -> None:
    (armed / "engine.written").write_text("raise")


OTHER = {"version": 2, "share": 0.1, "salt": "another"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("dies", "after"),
    [
        pytest.param(in_a_transaction, OTHER, id="in a transaction, and other arms after"),
        pytest.param(in_a_transaction, None, id="in a transaction, and one arm after"),
        pytest.param(when_planned, None, id="before anything is written"),
        pytest.param(when_written, OTHER, id="when all is written"),
    ],
)
def test_a_batch_that_is_done_again_keeps_the_arms_of_its_plan(
    bench: Bench,
    candidate: ServedModel,
    tmp_path: Path,
    dies: Callable[[Path, pytest.MonkeyPatch], None],
    after: dict[str, Any] | None,
) -> None:
    armed = tmp_path / "failpoints"
    (armed / HIT).mkdir(parents=True)
    bench.failpoints, bench.arm, bench.planned = armed, HALF, {candidate.key: candidate}
    send(bench, range(30))
    bench.run()
    send(bench, range(30, 90))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StreamingQueryException):
        dies(armed, patch)
        bench.run()
    assert sorted(path.name for path in armed.iterdir()) == [HIT], "each was reached"
    # The next driver is configured differently, and finds in the ledger how the batch was begun.
    bench.arm = after
    send(bench, range(90, 150))
    bench.run()
    topics = Topics(bench)
    by_role = topics.check()
    assert by_role[CANDIDATE] > 20
    halves = [plan.arms.assignment for plan in topics.plans.values()][:2]
    assert [assignment and assignment.salt for assignment in halves] == ["flights-2"] * 2
    assert [topics.plan_of((0, offset)).id for offset in (30, 89)] == [list(topics.plans)[1]] * 2
    later = topics.plan_of((0, 149)).arms.assignment
    assert (later.salt if later else None) == (after["salt"] if after else None)


@pytest.mark.long
def test_what_served_before_the_arms_and_after_is_planned_as_ever(bench: Bench, candidate: ServedModel) -> None:
    bench.planned = {candidate.key: candidate}
    for arm in (None, HALF, None):
        bench.arm = arm
        send(bench, range(20))
        bench.run()
    topics = Topics(bench)
    topics.check()
    versions = [record.get("record_version") for record in topics.ledger if record["type"] == "plan"]
    assert versions == [None, 2, None]
    assert [len(result.get("arms", ())) for _, result in topics.outcomes()] == [0, 2, 0]


@dataclass(frozen=True)
class Hopeless(SparkPipeline):
    """A real pipeline that throws on every distance but zero."""

    def transform(self, frame: DataFrame) -> DataFrame:
        distance = F.col("distance")
        thrown = F.when(distance != 0, F.raise_error(F.lit("hopeless"))).otherwise(distance)
        return super().transform(frame.withColumn("distance", thrown.cast("double")))


@pytest.mark.long
def test_a_candidate_that_fails_leaves_its_keys_to_the_champion(bench: Bench, candidate: ServedModel) -> None:
    hopeless = retyped(candidate, Hopeless)
    bench.arm, bench.planned = HALF, {candidate.key: hopeless}
    bench.rows_per_batch = 60
    send(bench, range(1, 90))
    bench.run()
    topics = Topics(bench)
    assert topics.check() == {CHAMPION: 89}
    both, alone, later = topics.plans.values()
    assert (len(both.arms.arms), len(alone.arms.arms), len(later.arms.arms)) == (2, 1, 1)
    assert "tiny v1 (champion), tiny v2 (candidate) throws on more than 10 rows" in alone.reason
    assert (later.reason, len(bench.seen.searches)) == ("", 1)
