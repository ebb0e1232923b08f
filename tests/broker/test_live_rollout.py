"""A rollout in the live engine: each answer by its key's arm in a step, and each step a handover that loses nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from jobs.verbs.rollout.desk import rollout_desk
from jobs.wiring.repairing import find_repair
from schemas import prediction
from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ConfigurationError
from streaming.models.served import ServedModel
from streaming.outputs.read_back import Output
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.records import RecordKind, Transition
from tests.broker.test_arms import Hopeless
from tests.broker.test_live import Trickle, answered
from tests.broker.test_rollout import Operator
from tests.support.arms import Topics
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.live import LiveBench
from tests.support.models import fit_pipeline, load, package, retyped

Answers = Counter[tuple[int | None, str, int]]
"""How many there are, by weight epoch, role and version."""


@pytest.fixture(scope="module")
def candidate(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A second version, which answers the other way round than the first."""
    made = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("candidate"), version=2)
    return load(spark, made)


@pytest.fixture
def bench(spark: SparkSession, broker: str, make_topic: MakeTopic, model: ServedModel, tmp_path: Path) -> LiveBench:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    made = LiveBench(spark, broker, topic, tmp_path, f"app-{uuid4().hex[:8]}")
    made.slot.release_with(lambda model: None)
    made.slot.swap(model)
    return made


def checked_answers(bench: LiveBench) -> Answers:
    """See that each answer names a step and comes from the arm that its event has in that step; count them."""
    topics = Topics(bench.read)
    moves = [Transition.from_dict(record) for record in topics.ledger if record.get("kind") == RecordKind.TRANSITION]
    counts: Answers = Counter()
    for output in topics.outputs:
        headers = dict(output.record.headers)
        epoch = int(headers[prediction.WEIGHT_EPOCH] or 0) if prediction.WEIGHT_EPOCH in headers else None
        role = (headers[prediction.ROLE] or b"").decode()
        if epoch is not None:
            move = next(move for move in moves if move.weights.epoch == epoch)
            assert headers[prediction.ROLLOUT] == move.declaration.name.encode()
            # Once it has all keys, the candidate is the champion.
            if (role, output.version) != (CHAMPION, move.declaration.candidate.version):
                assert role == arm_of(topics, output, ArmAssignment(move.declaration.salt, move.weights.intervals))
        counts[epoch, role, output.version] += 1
    return counts


def arm_of(topics: Topics, output: Output, assignment: ArmAssignment) -> str:
    key, fields = topics.events[output.source[1], output.source[2]]
    return assignment.arm_of(key, fields["event_id"])


def roles_lately(bench: LiveBench) -> set[str]:
    """The roles in which the latest events were answered."""
    latest = sorted(Topics(bench.read).outputs, key=lambda output: output.made_at)[-30:]
    return {(dict(output.record.headers)[prediction.ROLE] or b"").decode() for output in latest}


@pytest.mark.long
def test_a_candidate_gets_its_keys_and_loses_them_by_order(
    bench: LiveBench, candidate: ServedModel, model: ServedModel
) -> None:
    bench.planned = {candidate.key: candidate}
    operator = Operator(bench)
    with bench.live(), Trickle(bench, (0, 1)) as trickle:
        eventually(lambda: len(answered(bench)) > 20, timeout=SLOWEST)
        operator.declares(0.5, events=1_000_000)
        operator.orders("start")
        eventually(lambda: roles_lately(bench) == {CHAMPION, CANDIDATE}, timeout=SLOWEST)
        eventually(lambda: operator.status()["answered"], timeout=SLOWEST)
        operator.orders("abort")
        eventually(lambda: roles_lately(bench) == {CHAMPION}, timeout=SLOWEST)
        trickle.end()
        eventually(lambda: len(answered(bench)) == trickle.sent, timeout=SLOWEST)
    assert bench.failed == []
    answers = checked_answers(bench)
    assert set(answers) == {(None, CHAMPION, 1), (1, CHAMPION, 1), (1, CANDIDATE, 2)}
    counted = Topics(bench.read).ledger
    outcomes = [record["arms"] for record in counted if record["type"] == "outcome" and "arms" in record]
    evidence = sum(arms[CANDIDATE]["predictions"] for arms in outcomes if arms)
    assert 0 < evidence <= answers[1, CANDIDATE, 2]
    refused = pytest.raises(ConfigurationError, match="the live engine has answered in the rollout tiny-2")
    with KafkaScan(bench.kafka, "test") as scan, rollout_desk(bench.settings) as desk, refused:
        find_repair(bench.settings, scan, desk.story(desk.current()), model.version)


@pytest.mark.long
def test_a_rollout_goes_its_steps_by_what_the_boundaries_count(bench: LiveBench, candidate: ServedModel) -> None:
    bench.planned = {candidate.key: candidate}
    operator = Operator(bench)
    with bench.live(), Trickle(bench, (0, 1)) as trickle:
        operator.declares(0.25, 0.5)
        operator.orders("start")
        eventually(lambda: operator.status()["phase"] == "promoted", timeout=SLOWEST)
        eventually(lambda: bench.last_versions() == {2}, timeout=SLOWEST)
        trickle.end()
        eventually(lambda: len(answered(bench)) == trickle.sent, timeout=SLOWEST)
    assert bench.failed == []
    answers = checked_answers(bench)
    assert {(1, CANDIDATE, 2), (2, CANDIDATE, 2), (4, CHAMPION, 2)} <= set(answers)
    assert [t.state.phase.value for t in bench.seen.rollouts] == ["step", "step", "promoting", "probation", "promoted"]


@pytest.mark.long
def test_a_candidate_that_throws_on_its_events_leaves_its_keys_to_the_champion(
    bench: LiveBench, candidate: ServedModel
) -> None:
    bench.planned = {candidate.key: retyped(candidate, Hopeless)}
    operator = Operator(bench)
    with bench.live(), Trickle(bench, (0, 1)) as trickle:
        eventually(lambda: len(answered(bench)) > 20, timeout=SLOWEST)
        operator.declares(0.5)
        operator.orders("start")
        eventually(lambda: operator.status()["phase"] == "rolled back", timeout=SLOWEST)
        before = len(answered(bench))
        eventually(lambda: len(answered(bench)) > before + 50, timeout=SLOWEST)
        trickle.end()
        eventually(lambda: len(answered(bench)) == trickle.sent, timeout=SLOWEST)
    assert bench.failed == []
    assert bench.slot.held == frozenset(), "the champion is not to blame"
