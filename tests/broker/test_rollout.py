"""A rollout over a real broker: its records in the ledger, driver after driver, and what the topics tell of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
import yaml
from jsonschema import Draft202012Validator
from pyspark.sql import SparkSession

from jobs.configuration.load import load_settings
from jobs.verbs.rollout.desk import rollout_desk
from jobs.verbs.rollout.options import RolloutReportOptions
from jobs.verbs.rollout.order import give
from jobs.verbs.rollout.report import reported
from jobs.verbs.rollout.status import statuses
from jobs.wiring.correcting import correct
from jobs.wiring.judging import judge_rounds
from jobs.wiring.repairing import find_repair
from schemas.shadow_prediction import PairedAnswer, ShadowPrediction, ShadowRole
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.cohorts import prediction_row
from streaming.adapters.kafka.ledger_tail import append_record
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import isoformat, system_clock
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelKey
from streaming.models.seams import ArrowScorer
from streaming.models.served import ServedModel
from streaming.outputs.read_back import Output
from streaming.replay.run import Versions
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.rollout.latency import FEWEST_BATCHES
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration
from streaming.scoring.row_pass import JsonRowPass
from tests.support.arms import Topics, assert_shares
from tests.support.commands import ROOT
from tests.support.engine import Bench, event
from tests.support.kafka import MakeTopic
from tests.support.models import fit_pipeline, load, package

KEYS = 2_000
LABELLED_AT = datetime(2013, 1, 1, 8, tzinfo=timezone.utc)
HEADERS = Draft202012Validator(json.loads((ROOT / "schemas" / "contracts" / "prediction_headers.json").read_text()))
NOW = timedelta(0)


@pytest.fixture(scope="module")
def candidate(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A second version, compiled, which answers the other way round than the first."""
    made = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("candidate"), version=2)
    return load(spark, made, scorer="compiled")


def step(share: float, events: int = 20) -> RolloutStep:
    return RolloutStep(share, {"candidate events": events}, most=NOW, on_not_told=OnNotTold.PROMOTE)


class Operator:
    """Somebody with the command line beside the job."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.config = bench.home / "penstock.yaml"
        bench.home.mkdir(exist_ok=True)
        self.config.write_text(yaml.safe_dump(bench.settings.model_dump(mode="json", exclude_unset=True)))

    def declares(self, *shares: float, events: int = 20) -> None:
        steps = tuple(step(share, events) for share in shares)
        settings, plan = self.bench.settings, RolloutPlan(steps, probation=step(1.0))
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


@pytest.mark.long
def test_a_rollout_goes_its_steps_from_driver_to_driver_and_the_topics_tell_all_of_it(
    bench: Bench, candidate: ServedModel, make_topic: MakeTopic
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
        if batch == 3:
            bench.send([event(0, event_id="later", event_time="2013-01-02T00:00:00Z")])
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
    the_report_is_read_from_the_topics(operator, topics, make_topic("labels", retention_ms=-1))


@pytest.mark.long
def test_a_candidate_that_takes_longer_is_found_by_the_times_in_the_ledger(
    bench: Bench, candidate: ServedModel
) -> None:
    # Here, so that it is pickled whole: workers do not import this module.
    @dataclass(frozen=True)
    class Slow:
        scorer: ArrowScorer

        def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
            # So long that a machine which is busy beside it makes no difference.
            time.sleep(0.01 * events.num_rows)
            return self.scorer.score(events)

    assert isinstance(candidate.row_pass, JsonRowPass)
    slow = replace(candidate, row_pass=replace(candidate.row_pass, scorer=Slow(candidate.row_pass.scorer)))
    bench.planned = {slow.key: slow}
    scored(bench, range(20))
    operator = Operator(bench)
    operator.declares(0.5, events=100_000)
    operator.orders("start")
    scored_until_planned(bench)
    bench.rows_per_batch = 60
    scored(bench, range(60 * (FEWEST_BATCHES + 4)))
    topics = Topics(bench.read)
    topics.check()
    assert {"times" in result for _, result in topics.outcomes() if "arms" not in result} == {False}
    KafkaAdmin(bench.kafka, "test").ensure_topic(f"{bench.topic}.out.shadow", 1, {})
    with judge_rounds(load_settings(operator.config), system_clock) as rounds:
        verdict = rounds.look()
    assert verdict is not None
    latency = verdict.checks["latency"]
    assert (latency.finding, latency.numbers["slower"]) == (HarmFinding.HARM, latency.count), latency.sentence
    assert latency.count >= FEWEST_BATCHES
    assert verdict.why == f"latency: {latency.sentence.removeprefix('harm: ')}"
    assert operator.status()["judge"]["checks"]["latency"]["sentence"] == latency.sentence
    # The next driver takes every key back.
    scored(bench, range(60))
    assert operator.status()["phase"] == "rolled back"


def the_report_is_read_from_the_topics(operator: Operator, topics: Topics, labels: str) -> None:
    """Say that all events are late, let a shadow differ on one, and see both comparisons in the report."""
    bench = operator.bench
    KafkaAdmin(bench.kafka, "test").ensure_topic(f"{bench.topic}.out.shadow", 1, {})
    publisher, shadow = Publisher(bench.servers, labels), Publisher(bench.servers, f"{bench.topic}.out.shadow")
    for event_id in {prediction["event_id"] for prediction in bench.predictions()} - {"later"}:
        label = {"event_id": event_id, "label": 1, "known_at": isoformat(LABELLED_AT)}
        publisher.send(json.dumps(label).encode(), timestamp=int(LABELLED_AT.timestamp() * 1_000))
    for application in (bench.application, "another"):
        shadow.send(in_the_shadow(application).to_json(), b"N1")
    publisher.finish(30)
    shadow.finish(30)
    topics_of_report = [f"quality.labels={labels}", f"output.shadow={bench.topic}.out.shadow"]
    report = reported(operator.config, topics_of_report, RolloutReportOptions())
    errors: dict[int, list[bool]] = {1: [], 2: []}
    for output in topics.outputs:
        value = json.loads(output.record.value or b"")
        if dict(output.record.headers).get("penstock-rollout") and value["event_id"] != "later":
            errors[value["model_version"]].append(value["prediction"] != 1.0)
    counts = [(arm.version, arm.role, arm.events) for arm in report.arms]
    assert counts == [(1, CHAMPION, len(errors[1])), (2, CANDIDATE, len(errors[2]))]
    rates = {version: sum(wrong) / len(wrong) for version, wrong in errors.items()}
    assert (report.loss, [day.own for day in report.unpaired.days]) == ("error rate", [rates[2] - rates[1]])
    assert report.paired is not None
    assert [(day.events, day.own) for day in report.paired.days] == [(1, -1.0)]
    assert [step.phase for step in report.steps] == ["step", "step", "promoting", "probation", "promoted"]
    assert report.steps[0].first_event == "2013-01-01T05:15:00.000Z"


def in_the_shadow(application: str) -> ShadowPrediction:
    """An event of which the champion says that it is not late, and the candidate that it is."""
    return ShadowPrediction(
        prediction_id="tiny:champion:features:0:1",
        event_id="e1",
        event_time="2013-01-01T05:15:00.000Z",
        source_topic="features",
        source_partition=0,
        source_offset=1,
        application=application,
        rollout="tiny-2",
        weight_epoch=1,
        role=ShadowRole.SHADOW,
        scored_at="2013-01-01T05:15:00.000Z",
        served=PairedAnswer("tiny", 1, 0.0),
        shadow=PairedAnswer("tiny", 2, 1.0),
    )


def assignment_of(topics: Topics, epoch: int) -> ArmAssignment:
    """Return the assignment of the plans of a weight epoch, which is the same in all of them."""
    arms = [plan.arms for plan in topics.plans.values() if plan.arms.weights and plan.arms.weights.epoch == epoch]
    (assignment,) = {planned.assignment for planned in arms}
    assert assignment is not None
    return assignment


@pytest.mark.long
def test_a_repair_corrects_each_event_that_the_candidate_answered_once(
    bench: Bench, candidate: ServedModel, model: ServedModel
) -> None:
    bench.planned = {candidate.key: candidate}
    bench.rows_per_batch = 100
    KafkaAdmin(bench.kafka, "test").ensure_topic(f"{bench.topic}.out", 2, {"max.message.bytes": "20000"})
    operator = Operator(bench)
    bench.run()
    operator.declares(0.5, events=10_000)
    operator.orders("start")
    scored_until_planned(bench)
    bench.send([event(1, carrier=7) for _ in range(5)], key=b"N4")
    # Its prediction fits on the topic by no version.
    bench.send([event(1, event_id="x" * 18_000)], key=b"N4")
    bench.send([event(9_000 + number) for number in range(20)], partition=1)
    scored(bench, range(100, 180))
    operator.orders("abort")
    scored(bench, range(220, 240))
    served = Topics(bench.read)
    assert served.check()[CANDIDATE] > 20
    champions = Versions(lambda _: model, lambda _: None)
    with KafkaScan(bench.kafka, "test") as scan, rollout_desk(bench.settings) as desk:
        work = find_repair(bench.settings, scan, desk.story(desk.current()), model.version)
        runs = [correct(work.repair, bench.settings, bench.home, bench.spark, champions) for _ in range(2)]
        again = find_repair(bench.settings, scan, desk.story(desk.current()), model.version)
    answered = {o.source[1:]: o for o in served.outputs if served.expected(o.source[1:])[0] == CANDIDATE}
    assert sum(work.events.values()) == len(answered)
    assert again == work, "corrections are on no input"
    predicted = {position: output for position, output in answered.items() if output.kind == "prediction"}
    assert [run.counts.predictions for run in runs] == [len(predicted), 0]
    assert [run.counts.dead_letters for run in runs] == [0, 0], "the event on which both fail is a dead letter already"
    assert runs[0].counts.earlier == 1
    assert len(work.repair.lettered[0]) == 6
    after = Topics(bench.read)
    after.check()
    assert_corrected(predicted, after.corrections)
    messages = {(m.partition(), m.offset()): m for m in bench.read(".out")}
    for correction in after.corrections:
        both = (messages[o.record.partition, o.record.offset] for o in (correction, predicted[correction.source[1:]]))
        positions = [(message.partition(), message.key(), message.timestamp()[1]) for message in both]
        assert positions[0] == positions[1]
        # Quality, drift and the ledger's questions look at what the application itself says.
        assert prediction_row(correction.record, None, (bench.application, "tiny")) is None
        assert correction.application == f"{bench.application}.repair.tiny-2"


def assert_corrected(predicted: dict[tuple[int, int], Output], corrections: list[Output]) -> None:
    """See that each prediction has one correction, by the version that says the opposite."""
    assert Counter(each.source[1:] for each in corrections) == Counter(predicted.keys())
    for each in corrections:
        headers = {name: (value or b"").decode(errors="replace") for name, value in each.record.headers}
        HEADERS.validate(headers)
        value, before = (json.loads(o.record.value or b"") for o in (each, predicted[each.source[1:]]))
        assert headers["penstock-corrects"] == before["prediction_id"] != value["prediction_id"]
        assert (value["role"], value["model_version"], headers["penstock-weight-epoch"]) == ("correction", 1, "1")
        assert (value["event_id"], value["prediction"]) == (before["event_id"], 1.0 - before["prediction"])


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
