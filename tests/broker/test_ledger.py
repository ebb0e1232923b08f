"""``penstock ledger`` over a real application's ledger: swaps, dead letters and a lost checkpoint included."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from jobs.verbs.ledger.options import LedgerAtOptions, LedgerShowOptions
from jobs.verbs.ledger.run import answers, latest
from jobs.wiring.topics import prepare_topics
from schemas.model_event import Actor, EventType, ModelEvent
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.events import KafkaNews
from streaming.adapters.kafka.ledger import KafkaLedger
from streaming.adapters.kafka.ledger_tail import LedgerTail, append_record
from streaming.clock import isoformat, system_clock
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from tests.support.engine import Bench, event
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.models import renumbered

Version = Callable[[int], ServedModel]


@dataclass
class Story:
    """An application that ran with version 1, with 2, with 3 after its checkpoint was deleted, and on behind a gap."""

    bench: Bench
    times: list[str]
    """Before the first run, and after each with a version of its own."""

    def ask(self, *changes: str, **question: Any) -> list[dict[str, Any]]:
        return answers(None, [*self.settings, *changes], LedgerAtOptions(**question))

    def at(self, offset: int, partition: int = 0) -> dict[str, Any]:
        (answer,) = self.ask(partition=partition, offset=offset)
        return answer

    @property
    def settings(self) -> list[str]:
        bench = self.bench
        return [
            f"application={bench.application}",
            f"kafka.bootstrap.servers={bench.servers}",
            f"input.topic={bench.topic}",
            f"output.predictions={bench.topic}.out",
            f"output.ledger={bench.topic}.ledger",
            "model.tracking_uri=http://127.0.0.1:1",
            "model.timeout_seconds=1",
        ]


@pytest.fixture(scope="module")
def numbered(model: ServedModel) -> Version:
    """The same model under any number."""
    return lambda number: renumbered(model, number)


@pytest.fixture(scope="module")
def story(
    spark: SparkSession,
    broker: str,
    make_topic: MakeTopic,
    numbered: Version,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    bench = Bench(spark, broker, topic, tmp_path_factory.mktemp("first"), f"app-{uuid4().hex[:8]}")
    bench.slot.release_with(bench.release)
    prepare_topics(bench.settings, KafkaAdmin(bench.kafka, bench.application))
    reported = Story(bench, [isoformat(system_clock())])
    bench.send(event(number) for number in (-3, -2, -1))
    delete_before(broker, topic, 3)
    commit_and_abort(bench)
    bench.send(event(number) for number in range(10))
    run(reported, numbered(1))
    bench.send([*(event(number) for number in range(10, 15)), b"{", event(0, event_id="odd", carrier="ZZ")])
    run(reported, numbered(2))
    bench.home = tmp_path_factory.mktemp("second")
    bench.send(event(number) for number in range(15, 20))
    run(reported, numbered(3))
    bench.send([event(20)])
    delete_before(broker, topic, 26)
    bench.on_gap = "skip"
    bench.run()
    bench.send([event(21)])
    return reported


def run(story: Story, model: ServedModel) -> None:
    bench = story.bench
    bench.slot.swap(model)
    announce(bench, model.version)
    bench.run()
    story.times.append(isoformat(system_clock()))


def announce(bench: Bench, version: ModelVersion) -> None:
    sink = KafkaNews(bench.kafka, f"{bench.topic}.ledger", bench.application)
    now = isoformat(system_clock())
    swap = ModelEvent(EventType.SWAP, bench.application, "tiny", "tiny@champion", Actor.FOLLOWER, now)
    sink.send(ModelEvent(**{**swap.__dict__, "to_version": version.version, "run_id": version.run_id}))
    sink.close()


def commit_and_abort(bench: Bench) -> None:
    """On partition 1: an event, a marker, an aborted event, a marker, an event, a marker."""
    producer = Producer({**bench.kafka, "transactional.id": f"{bench.topic}-source"})
    producer.init_transactions(30)
    for number, keep in ((100, True), (101, False), (102, True)):
        producer.begin_transaction()
        producer.produce(bench.topic, event(number), partition=1)
        assert producer.flush(30) == 0  # or the client would not even send what is then aborted
        producer.commit_transaction(30) if keep else producer.abort_transaction(30)


def delete_before(broker: str, topic: str, offset: int) -> None:
    admin, part = AdminClient({"bootstrap.servers": broker}), TopicPartition(topic, 0, offset)
    admin.delete_records([part])[part].result(30)


@pytest.mark.long
@pytest.mark.parametrize(
    ("partition", "offset", "is_found", "fate", "version"),
    [
        pytest.param(0, 1, False, "before_start", None, id="before the start"),
        pytest.param(0, 3, True, "written", 1, id="the first event"),
        pytest.param(0, 12, True, "written", 1, id="the last event before the swap"),
        pytest.param(0, 13, True, "written", 2, id="the first event after the swap"),
        pytest.param(0, 18, True, "written", 2, id="a dead letter"),
        pytest.param(0, 19, True, "written", 2, id="the last event before the checkpoint was lost"),
        pytest.param(0, 20, True, "written", 3, id="the first event after it"),
        pytest.param(0, 25, False, "skipped", None, id="an event that was lost before it was scored"),
        pytest.param(0, 26, False, "pending", None, id="not scored yet"),
        pytest.param(0, 27, False, "pending", None, id="not there yet"),
        pytest.param(1, 4, True, "written", 1, id="an event of a transaction"),
        pytest.param(1, 2, False, "no_event", None, id="an aborted event"),
        pytest.param(1, 5, False, "no_event", None, id="a transaction's marker"),
    ],
)
def test_an_offset_has_one_answer(
    story: Story, partition: int, offset: int, is_found: bool, fate: str, version: int | None
) -> None:
    answer = story.at(offset, partition)
    assert (answer["found"], answer["fate"], answer.get("version")) == (is_found, fate, version)


@pytest.mark.long
def test_the_ledger_and_the_outputs_name_the_same_versions(story: Story) -> None:
    by_kind = {}
    for message in [*story.bench.read(".out"), *story.bench.read(".dlq")]:
        headers = {name: word.decode() for name, word in message.headers()}
        by_kind[message.topic(), message.partition(), headers["penstock-model-version"]] = message, headers
    assert len(by_kind) == 5
    for (topic, partition, version), (message, headers) in by_kind.items():
        answer = story.at(int(headers.get("penstock-source-offset") or headers["__connect.errors.offset"]), partition)
        position = {"topic": topic, "partition": partition, "offset": message.offset()}
        assert {key: answer["output"][key] for key in position} == position
        assert (str(answer["version"]), answer["certainty"]) == (version, "recorded")


@pytest.mark.long
def test_an_answer_says_all_that_is_known_and_what_the_registry_did_not_say(story: Story) -> None:
    answer = story.at(13)
    assert answer["summary"] == f"{story.bench.topic}, partition 0, offset 13 was scored by tiny v2."
    assert (answer["model"], answer["run_id"]) == ("tiny", "run1")
    plan = answer["plan"]
    assert (plan["id"], plan["epoch"], plan["batch"]) == ("2.1", 2, 1)
    assert story.times[1] < plan["at"] < answer["recorded"]["at"] < story.times[2]
    assert answer["recorded"]["epoch"] == 2
    assert answer["data_digest"] is None
    assert "127.0.0.1:1" in answer["data_digest_problem"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("event_id", "offset", "kind"), [("e12", 15, "prediction"), ("odd", 19, "dead_letter")], ids=["scored", "refused"]
)
def test_an_event_is_found_by_its_id(story: Story, event_id: str, offset: int, kind: str) -> None:
    (answer,) = story.ask(event_id=event_id)
    assert (answer["source"]["offset"], answer["output"]["kind"], answer["version"]) == (offset, kind, 2)


@pytest.mark.long
def test_an_id_that_no_output_has_is_not_found(story: Story) -> None:
    assert story.ask(event_id="e99") == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("run", "version", "plans"), [(0, None, [1]), (1, 1, [1, 2]), (2, 2, [2, 3])], ids=["before", "first", "second"]
)
def test_what_served_at_a_time(story: Story, run: int, version: int | None, plans: list[int]) -> None:
    (answer,) = story.ask(time=story.times[run])
    assert (answer["found"], answer.get("version"), answer.get("epoch")) == (version is not None, version, version)
    assert [answer[name]["version"] for name in ("before", "after") if name in answer] == plans


@pytest.mark.long
def test_another_application_on_the_same_ledger_has_no_answers(story: Story) -> None:
    (answer,) = story.ask("application=somebody", partition=0, offset=13)
    assert not answer["found"]


@pytest.mark.long
@pytest.mark.parametrize(
    "question",
    [
        {},
        {"partition": 0},
        {"partition": 0, "offset": 3, "event_id": "e1"},
        {"partition": 7, "offset": 0},
        {"time": "noon"},
    ],
    ids=["nothing", "half a position", "two things", "no such partition", "no time"],
)
def test_a_question_that_makes_no_sense_is_refused(story: Story, question: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        story.ask(**question)


@pytest.mark.long
def test_the_latest_records_are_shown_by_type_and_time(story: Story) -> None:
    def types(count: int, *wanted: str, since: str | None = None) -> list[str]:
        return [record["type"] for record in latest(None, story.settings, LedgerShowOptions(count, wanted, since))]

    assert types(1, "skip") == ["skip"]
    assert types(100, "swap") == ["swap"] * 3
    assert types(2, "plan", "outcome") == ["plan", "outcome"]
    assert types(100, "lease", since=story.times[2]) == ["lease"] * 2


@pytest.mark.long
def test_a_ledger_whose_oldest_records_expired_says_so(story: Story, broker: str, make_topic: MakeTopic) -> None:
    shortened = make_topic("ledger", partitions=1)
    producer = Producer(story.bench.kafka)
    records = [json.loads(message.value()) for message in story.bench.read(".ledger")]
    for record in records:
        producer.produce(shortened, json.dumps(record), story.bench.application, partition=0)
    assert producer.flush(30) == 0
    kept = next(number for number, record in enumerate(records) if record.get("epoch") == 2)
    delete_before(broker, shortened, kept)

    reported = {offset: story.ask(f"output.ledger={shortened}", partition=0, offset=offset)[0] for offset in (1, 3, 13)}
    assert [(answer["fate"], answer["found"]) for answer in reported.values()] == [
        ("forgotten", False),
        ("forgotten", True),
        ("written", True),
    ]
    assert f"goes back to {records[kept]['at']} only" in reported[1]["summary"]
    assert reported[3]["summary"].endswith("but the prediction names version 1.")


def test_a_lost_outcome_leaves_the_plan(
    spark: SparkSession,
    broker: str,
    make_topic: MakeTopic,
    numbered: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The driver dies between output and outcome, and its checkpoint with it."""
    bench = Bench(spark, broker, make_topic("features", partitions=1), tmp_path / "first", f"app-{uuid4().hex[:8]}")
    bench.slot.release_with(bench.release)
    bench.slot.swap(numbered(1))
    bench.send(event(number) for number in range(5))

    def die(*_: object) -> None:
        raise RuntimeError("died")

    with monkeypatch.context() as patch, pytest.raises(StreamingQueryException):
        patch.setattr(KafkaLedger, "record_outcome", die)
        bench.run()
    story = Story(bench, [])
    assert [story.at(offset)["certainty"] for offset in (0, 4)] == ["recorded"] * 2  # the mark still tells
    bench.home = tmp_path / "second"
    bench.slot.swap(numbered(2))
    bench.send(event(number) for number in range(5, 8))
    bench.run()
    reported = [(a["version"], a["certainty"], "recorded" in a) for a in map(story.at, (0, 4, 5))]
    assert reported == [(1, "planned", False), (1, "planned", False), (2, "recorded", True)]


def test_the_tail_has_all_batches_from_the_first_step_of_a_rollout_on(broker: str, make_topic: MakeTopic) -> None:
    kafka, topic = {"bootstrap.servers": broker}, make_topic("ledger", partitions=1)
    plan, step, outcome = {"type": "plan"}, {"type": "plan", "weight_epoch": 1}, {"type": "outcome"}
    rollout, lease = {"type": "rollout"}, {"type": "lease"}
    tail = LedgerTail(kafka, topic, "app")
    for record in (plan, outcome, rollout, lease, step, outcome):
        append_record(kafka, topic, "app", record)
    append_record(kafka, topic, "another", step)
    assert list(tail.to_end()) == [rollout, step, outcome]
    # What comes after the rollout may have been planned for another topic of the input's name.
    for record in (lease, plan, outcome):
        append_record(kafka, topic, "app", record)
    assert list(tail.to_end()) == [plan, outcome]
    append_record(kafka, topic, "app", outcome)
    assert eventually(lambda: list(tail.fresh(0.1))) == [outcome]
    tail.close()
