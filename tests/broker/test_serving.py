"""A server beside a real broker: its answers on their topic, and the arms of a rollout by the ledger."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer
from jsonschema import Draft202012Validator
from pyspark.sql import SparkSession

from jobs.wiring.drift import drift_stream, rules_of, shape_of
from jobs.wiring.in_process import in_process_preparation
from jobs.wiring.quality import quality_rounds
from jobs.wiring.serving_shadow import shadow_log
from schemas import dead_letter, prediction
from streaming.adapters.drift_state import HadoopStateStore
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.drift import KafkaDriftSink, read_summaries
from streaming.adapters.kafka.ledger_tail import LedgerTail, append_record
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.scan import stored
from streaming.adapters.kafka.served import KafkaAnswers, served_targets
from streaming.adapters.kafka.unawaited import SENDER
from streaming.clock import instant, isoformat, system_clock
from streaming.drift.monitor import Monitor, MonitoredModel
from streaming.drift.query import DriftPorts, DriftQuery
from streaming.engines.failures import Restarts
from streaming.errors import ConfigurationError
from streaming.local.broker import start_broker
from streaming.local.jars import ensure_jars
from streaming.local.processes import free_port
from streaming.models.rollout_versions import CheckedVersions
from streaming.models.served import ServedModel
from streaming.operations.drift_metrics import DriftMetrics
from streaming.outputs.read_back import Output, read_output
from streaming.quality.cohort import MatureCohort
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from streaming.serving.answer_rows import AnswerRows
from streaming.serving.app import serving_app
from streaming.serving.passes import EventPasses
from streaming.serving.rollout_arms import RolloutArms, RolloutSource
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.shadow_counts import ShadowCounts
from streaming.settings import DriftSettings, EventSettings, Settings
from streaming.testing import FakeRegistry
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.servers import ServerBench, a_bench, event, flight_package, loaded, version_tree
from tests.support.shadows import NAME, transitions
from tests.unit.test_serving_log import PROFILE

CONTRACTS = Path(__file__).resolve().parents[2] / "schemas" / "contracts"
VALUE, HEADERS, LETTER, PAIR = (
    Draft202012Validator(json.loads((CONTRACTS / f"{name}.json").read_text("utf-8")))
    for name in ("prediction", "prediction_headers", "dead_letter_headers", "shadow_prediction")
)
KEYED = EventSettings(key="carrier")
GOOD, BAD = 60, 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return loaded(replace(flight_package(tmp_path_factory.mktemp("model")), profile=PROFILE), KEYED)


@dataclass
class Logged:
    """A server's settings, under which its answers are written, and what is on their topics."""

    settings: Settings

    def sink(self, passes: EventPasses, metrics: ServerMetrics) -> KafkaAnswers:
        settings = self.settings
        targets = served_targets(settings.kafka, settings.output, settings.served_topic, settings.application)
        rows = AnswerRows(passes.source, passes.numbers, targets.predictions)
        return KafkaAnswers(settings.kafka, settings.application, targets, rows, counts=metrics)

    @contextmanager
    def server(self, model: ServedModel) -> Iterator[ServerBench]:
        with a_bench(model, sink=self.sink) as bench:
            assert bench.log is not None
            bench.log.start()
            try:
                yield bench
            finally:
                bench.log.stop(10.0)

    def read(self, suffix: str = "") -> list[Message]:
        return list(KafkaLog(client_config(self.settings.kafka), self.settings.served_topic + suffix).read())

    def outputs(self, suffix: str = "") -> list[Output]:
        outputs = [read_output(stored(message)) for message in self.read(suffix)]
        assert None not in outputs
        return [output for output in outputs if output is not None]


@pytest.fixture
def logged(broker: str, make_topic: MakeTopic) -> Logged:
    name = make_topic("predictions", partitions=1)
    settings = {
        "application": f"app-{name}-serve",
        "kafka": {"bootstrap.servers": broker},
        "output": {"predictions": name, "quality": make_topic("quality", 1), "drift": make_topic("drift", 1)},
        "quality": {"labels": make_topic("labels", 1, retention_ms=-1)},
        "model": {"name": NAME},
    }
    return Logged(Settings.model_validate(settings))


def texts(message: Message) -> dict[str, str]:
    """A record's headers; a byte of a column's bins is a character."""
    return {name: (word or b"").decode("latin-1") for name, word in stored(message).headers}


def scored(bench: ServerBench) -> list[dict[str, Any]]:
    """Predictions of a day's events, a minute each; some events are rejected."""
    day = instant("2013-01-01T00:00:00Z")
    bodies = [
        event(event_id=f"e{number}", event_time=isoformat(day + timedelta(minutes=number)), hour=number % 24)
        for number in range(GOOD)
    ]
    bodies += [event(event_id=f"bad{number}", hour=None) for number in range(BAD)]
    answers: list[dict[str, Any]] = bench.score(bodies[:-1]).json()
    assert bench.score(bodies[-1]).status_code == 422
    eventually(lambda: bench.metrics.logged()["written"] == GOOD + BAD)
    return [answer for answer in answers if "rejected" not in answer]


def test_answers_are_on_their_topic_as_the_streams_contracts_have_them(logged: Logged, model: ServedModel) -> None:
    with logged.server(model) as bench:
        answers = scored(bench)
    messages = logged.read()
    values = [json.loads(message.value() or b"") for message in messages]
    assert sorted(values, key=itemgetter("event_id")) == sorted(answers, key=itemgetter("event_id"))
    for message, value in zip(messages, values, strict=True):
        headers = texts(message)
        VALUE.validate(value)
        HEADERS.validate(headers)
        assert headers["ce_id"] == value["prediction_id"]
        assert headers["ce_source"] == f"/penstock/{logged.settings.application}/{NAME}"
        assert len(headers[prediction.BINS]) == len(PROFILE.columns)
        assert message.key() == b"UA"
        assert message.timestamp()[1] == instant(value["event_time"]).timestamp() * 1_000
    letters = logged.read(".dlq")
    assert {json.loads(letter.value() or b"")["event_id"] for letter in letters} == {f"bad{n}" for n in range(BAD)}
    for letter in letters:
        words = texts(letter)
        LETTER.validate(words)
        assert (words[dead_letter.REASON], words[dead_letter.FIELD]) == ("MISSING_FIELD", "hour")
    ids = [output.source for output in (*logged.outputs(), *logged.outputs(".dlq"))]
    assert len(set(ids)) == GOOD + BAD


def test_quality_is_measured_of_a_servers_answers(logged: Logged, model: ServedModel) -> None:
    with logged.server(model) as bench:
        answers = scored(bench)
    producer = Producer(client_config(logged.settings.kafka))
    late = instant("2013-01-01T12:00:00Z")
    for answer in answers:
        label = json.dumps({"event_id": answer["event_id"], "label": answer["label"]})
        producer.produce(logged.settings.quality.labels or "", label, timestamp=round(late.timestamp() * 1_000))
    assert producer.flush(30) == 0
    settings = logged.settings.model_copy(
        update={"output": logged.settings.output.model_copy(update={"predictions": logged.settings.served_topic})}
    )
    day = instant("2013-01-01T00:00:00Z")
    with quality_rounds(settings, lambda: day + timedelta(days=3)) as rounds:
        (cohort,) = list(rounds.measured(day, day + timedelta(days=1)))
    assert isinstance(cohort, MatureCohort)
    (version,) = cohort.versions
    accuracy = version.figure("accuracy")
    assert accuracy is not None
    assert (version.events, version.labelled, accuracy.value) == (GOOD, GOOD, 1.0)


def test_a_topic_that_would_lose_answers_ends_the_start(logged: Logged, make_topic: MakeTopic) -> None:
    compacted = make_topic("compacted", 1, cleanup_policy="compact")
    output = logged.settings.output.model_copy(update={"served": compacted})
    wrong = Logged(logged.settings.model_copy(update={"output": output}))
    with pytest.raises(ConfigurationError, match=r"output\.served"):
        wrong.sink(
            EventPasses("http-test", lambda: instant("2020-01-01")), ServerMetrics(lambda: instant("2020-01-01"))
        )


def test_each_request_is_answered_by_the_arm_that_the_ledger_gives_it_and_scored_by_the_other_version(
    broker: str, make_topic: MakeTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, application = {"bootstrap.servers": broker}, "app-arms"
    settings = Settings.model_validate(
        {
            "application": application,
            "kafka": kafka,
            "event": {"key": "carrier"},
            "output": {"ledger": make_topic("ledger", 1), "shadow": make_topic("shadow", 2)},
            "model": {"name": NAME, "cache_dir": str(tmp_path / "cache")},
        }
    )
    registry, checks = FakeRegistry(NAME), in_process_preparation(settings, singly=True)
    for turned in (False, True):
        registry.register(version_tree(tmp_path / str(turned), turned=turned))
    champion, versions = checks.prepare(registry.get(NAME, 1), registry.download), CheckedVersions(registry, checks)
    declared, *steps = transitions(application)
    intervals = ALL_CHAMPION.changed_to({CANDIDATE: 0.25})
    steps[1]["intervals"] = [{"arm": a, "end": e} for a, e in zip(intervals.arms, intervals.ends, strict=True)]
    write = partial(append_record, kafka, settings.output.ledger, application)
    write(declared)
    write(steps[0])
    tail = LedgerTail(kafka, settings.output.ledger, application)
    with a_bench(champion) as bench:
        source = RolloutSource(
            application=application,
            model=NAME,
            slot=bench.slot,
            records=tail,
            load=versions.load,
            release=versions.release,
        )
        arms = RolloutArms(source)
        arms.start(30.0)
        bench.passes.arms = arms
        shadowed, stack = ShadowCounts(bench.metrics.registry), ExitStack()
        bench.service = replace(bench.service, shadow=shadow_log(settings, bench.passes, versions, shadowed, stack))
        bench.app = serving_app(bench.service)
        try:
            carriers = [f"C{number}" for number in range(200)]
            bodies = [event(event_id=f"e{number}", carrier=carrier) for number, carrier in enumerate(carriers)]
            before = bench.score(bodies)
            assert before.headers["penstock-weight-epoch"] == "1"
            assert {item["role"] for item in before.json()} == {"champion"}
            write(steps[1])
            eventually(lambda: arms.standing()["candidate"] == 2)
            items = bench.score(bodies).json()
            assignment = ArmAssignment("late-2", intervals)
            assert [item["role"] for item in items] == [assignment.arm_of(c.encode(), "") for c in carriers]
            shares = Counter(item["model_version"] for item in items)
            assert 25 <= shares[2] <= 75
            for first, second in zip(before.json(), items, strict=True):
                # The candidate says the opposite of everything.
                assert (second["prediction"] == first["prediction"]) is (second["role"] == "champion")
            eventually(lambda: shadowed.logged()["written"] == 400)
            of_the_other_version(settings, {item["prediction_id"]: item for item in [*before.json(), *items]})
            write({**steps[1], "number": 9, "phase": "rolled back", "weight_epoch": 9})
            eventually(lambda: arms.standing()["candidate"] is None)
            assert {item["role"] for item in bench.score(bodies).json()} == {"champion"}
        finally:
            stack.close()
            arms.stop()
            tail.close()


def of_the_other_version(settings: Settings, answers: Mapping[str, Any]) -> None:
    """See that each answer has one pair, in which the version that did not give it says the opposite."""
    messages = list(KafkaLog(client_config(settings.kafka), settings.shadow_topic).read())
    pairs = [json.loads(message.value() or b"") for message in messages]
    assert sorted(pair["prediction_id"] for pair in pairs) == sorted(answers)
    for message, pair in zip(messages, pairs, strict=True):
        PAIR.validate(pair)
        answer = answers[pair["prediction_id"]]
        assert (pair["application"], pair["rollout"]) == (f"{settings.application}-serve", "late-2")
        assert (pair["served"]["version"], pair["served"]["prediction"]) == (
            answer["model_version"],
            answer["prediction"],
        )
        assert pair["shadow"]["version"] == 3 - answer["model_version"]
        assert pair["shadow"]["prediction"] != answer["prediction"]
        assert message.key() == f"C{answer['event_id'][1:]}".encode()


@pytest.mark.long
def test_a_broker_that_goes_away_costs_no_caller_its_answer_and_writing_goes_on_when_it_is_back(
    model: ServedModel, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SENDER, "message.timeout.ms", "2000")
    port, jars = free_port(), ensure_jars(root / ".penstock", os.environ).broker
    own = {"application": "app-away-serve", "kafka": {"bootstrap.servers": f"127.0.0.1:{port}"}}
    logged = Logged(Settings.model_validate({**own, "model": {"name": NAME}}))
    with ExitStack() as stack:
        with start_broker(tmp_path / "broker", jars, port, os.environ) as broker:
            broker.wait_ready()
            bench = stack.enter_context(logged.server(model))
            assert bench.score(event(event_id="before")).status_code == 200
            eventually(lambda: bench.metrics.logged()["written"] == 1)
        assert {bench.score(event(event_id=f"away{number}")).status_code for number in range(3)} == {200}
        eventually(lambda: bench.metrics.logged()["failed"] == 3, timeout=SLOWEST)
        eventually(lambda: "take no answers" in str(bench.ask("GET", "/health").json()["log"]["problem"]))
        with start_broker(tmp_path / "broker", jars, port, os.environ) as broker:
            broker.wait_ready()
            eventually(
                lambda: bench.score(event()).status_code == 200 and bench.metrics.logged()["written"] > 1, timeout=60
            )
            eventually(lambda: bench.ask("GET", "/health").json()["log"]["problem"] is None)
            written = {json.loads(message.value() or b"")["event_id"] for message in logged.read()}
            stack.close()
    assert written == {"before", "e1"}


@pytest.mark.long
def test_drift_is_counted_in_a_servers_answers_with_its_dead_letters(
    spark: SparkSession, logged: Logged, model: ServedModel, tmp_path: Path
) -> None:
    with logged.server(model) as bench:
        answers = scored(bench)
    output = logged.settings.output.model_copy(
        update={"predictions": logged.settings.served_topic, "dead_letters": f"{logged.settings.served_topic}.dlq"}
    )
    drift = DriftSettings(window_seconds=24 * 3_600, min_rows=10)
    settings = logged.settings.model_copy(update={"output": output, "drift": drift})
    checkpoint = (tmp_path / "drift").as_uri()
    subject = MonitoredModel(settings.application, NAME, shape_of(drift), rules_of(drift))
    sink = KafkaDriftSink(settings.kafka, output.drift)
    monitor = Monitor(subject, lambda _: PROFILE, sink, HadoopStateStore(spark, checkpoint))
    ports = DriftPorts(spark, system_clock, DriftMetrics())
    DriftQuery(drift_stream(settings, checkpoint), monitor, ports, Restarts(pause=1.0, most=20)).run_once()
    (window,) = read_summaries(settings.kafka, output.drift)
    assert (window.rows, window.invalid, window.window.version) == (GOOD, BAD, 1)
    counts = {column.name: column.counts for column in window.columns}
    hours = Counter(str(bisect_right((6.0, 12.0, 18.0), number % 24)) for number in range(GOOD))
    assert counts["hour"] == hours
    assert counts["prediction"] == Counter(str(int(answer["prediction"])) for answer in answers)
