"""Two arms of one model over a real broker: each event once, by the arm that its key and the ledger's plan name.

Which arm that is, is recomputed from the topics alone: the input, and the plans and outcomes of the ledger.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.adapters.kafka.scan import KafkaScan
from streaming.engines import exact
from streaming.failpoints import HIT
from streaming.models.served import ServedModel
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.scoring.pipeline import SparkPipeline
from tests.support.arms import Topics
from tests.support.engine import Bench, event
from tests.support.models import fit_pipeline, load, package, retyped
from tests.support.replays import Theatre, by_place, parquet_rows, topic_rows

HALF = {"version": 2, "share": 0.5, "salt": "flights-2"}
"""The setting ``model.arm``."""


@pytest.fixture(scope="module")
def candidate(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A second version, compiled, which answers the other way round than the first."""
    made = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("candidate"), version=2)
    return load(spark, made, scorer="compiled")


def send(bench: Bench, numbers: range, partition: int = 0) -> None:
    """Events of 11 keys and of none, and among them some that are rejected."""
    by_key: dict[bytes | None, list[bytes]] = {}
    for number in numbers:
        changes = {"carrier": 7} if number % 9 == 0 else {"event_id": ...} if number % 17 == 0 else {}
        key = None if number % 4 == 0 else f"N{number % 11}".encode()
        by_key.setdefault(key, []).append(event(number, **changes))
    for key, values in by_key.items():
        bench.send(values, partition, key=key)


@pytest.mark.long
def test_every_event_is_answered_once_by_its_arm(either_bench: Bench, candidate: ServedModel) -> None:
    either_bench.arm, either_bench.planned = HALF, {candidate.key: candidate}
    either_bench.rows_per_batch = 40
    for partition, numbers in enumerate((range(70), range(70, 130))):
        send(either_bench, numbers, partition)
    either_bench.run()
    topics = Topics(either_bench.read)
    by_role = topics.check()
    assert min(by_role[CHAMPION], by_role[CANDIDATE]) > 20
    assert topics.counted() == by_role
    assert {output.kind for output in topics.outputs} == {"prediction", "dead letter"}
    assert len(topics.plans) > 1
    # A partition's range may have events of one arm alone, and only versions in one pass are timed.
    times = [result["times"] for _, result in topics.outcomes() if "times" in result]
    serving = either_bench.slot.current()
    assert serving is not None
    assert bool(times) is (serving.row_pass is not None)
    assert [time[CHAMPION]["events"] for time in times] == [time[CANDIDATE]["events"] for time in times]
    assert all(time[role]["seconds"] > 0 for time in times for role in (CHAMPION, CANDIDATE))
    answers = {(o.version, json.loads(o.record.value or b"")["prediction"]) for o in topics.outputs if o.model}
    assert {version for version, _ in answers} == {1, 2}


@pytest.mark.long
def test_a_replay_as_served_gives_each_event_to_its_arm_again(
    bench: Bench, candidate: ServedModel, model: ServedModel
) -> None:
    bench.arm, bench.planned = HALF, {candidate.key: candidate}
    for partition, numbers in enumerate((range(50), range(50, 90))):
        send(bench, numbers, partition)
    bench.run()
    theatre = Theatre(bench, {1: model, 2: candidate})
    live = by_place(theatre.live())
    by_version = Counter(f"tiny v{row['model_version']}" for row in live.values())
    with KafkaScan(bench.kafka, "test") as scan:
        source = theatre.topic(scan)
        segments = theatre.as_served(source)
        for destination in (theatre.folder("again"), theatre.to_topic(".again")):
            assert theatre.run(source, segments, destination, 60).versions == by_version
    assert min(by_version.values()) > 20
    assert by_place(parquet_rows(bench.home / "again")) == live
    assert by_place(topic_rows(bench, ".again", ".again.dlq")) == live


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
    topics = Topics(bench.read)
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
    topics = Topics(bench.read)
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
    topics = Topics(bench.read)
    assert topics.check() == {CHAMPION: 89}
    both, alone, later = topics.plans.values()
    assert (len(both.arms.arms), len(alone.arms.arms), len(later.arms.arms)) == (2, 1, 1)
    assert "tiny v1 (champion), tiny v2 (candidate) throws on more than 10 rows" in alone.reason
    assert (later.reason, len(bench.seen.searches)) == ("", 1)
