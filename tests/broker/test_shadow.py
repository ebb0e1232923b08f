"""A shadow over a real broker: what the topics hold is paired once, through gaps, deletions, restarts and failures."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition
from jsonschema import Draft202012Validator

from jobs.wiring.shadow import ShadowRun, shadow_run
from schemas.shadow_prediction import ShadowPrediction, ShadowRole, read_shadow
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.ledger_tail import append_record
from streaming.clock import system_clock
from streaming.errors import ConfigurationError, FencedError
from streaming.settings import Settings
from streaming.shadow.event_lane import FAR
from streaming.shadow.served import ServedReader
from streaming.testing import FakeRegistry
from tests.support.engine import committed
from tests.support.kafka import MakeTopic
from tests.support.servers import BOUNDED, event, version_tree
from tests.support.shadows import NAME, Answered, transitions

CONTRACTS = Path(__file__).resolve().parents[2] / "schemas" / "contracts"
VALID = Draft202012Validator(json.loads((CONTRACTS / "shadow_prediction.json").read_text()))
PARTITIONS, EVENTS = 2, 150
THROWN = 20
"""Events on which the candidate throws."""
THREW = (
    "penstock_shadow_errors_total",
    {"model": NAME, "version": "2", "role": "shadow", "reason": "SCORING_FAILED"},
)


class ShadowStream:
    """An application's topics, filled with what its writer would have written, and the registry of its versions."""

    def __init__(self, broker: str, make_topic: MakeTopic, folder: Path) -> None:
        topics = {name: make_topic(name, PARTITIONS, retention_ms=-1) for name in ("features", "predictions", "dlq")}
        self.kafka = {"bootstrap.servers": broker}
        self.settings = Settings.model_validate(
            {
                "application": f"app-{topics['features']}",
                "kafka": self.kafka,
                "input": {"topic": topics["features"]},
                "output": {
                    "predictions": topics["predictions"],
                    "dead_letters": topics["dlq"],
                    "ledger": make_topic("ledger", 1),
                },
                "model": {"name": NAME, "cache_dir": str(folder / "cache")},
            }
        )
        self.models = FakeRegistry(NAME)
        self.models.register(version_tree(folder / "1"))
        self.models.register(version_tree(folder / "2", turned=True, stages=BOUNDED))
        self.answered: list[Answered] = []
        self.ends: Counter[int] = Counter()
        """The number of the input's partitions."""

    def declare(self) -> None:
        for record in transitions(self.settings.application):
            append_record(self.kafka, self.settings.output.ledger, self.settings.application, record)

    def answer(self, epoch: int | None, version: int, many: int, *, throws: bool = False, reason: str = "") -> None:
        """Send events, on which version 2 ``throws``, and a version's predictions for them, or dead letters."""
        producer, topic = Producer(client_config(self.kafka)), self.settings.input.topic
        to = self.settings.output.predictions if not reason else self.settings.dead_letter_topic
        temp = 200.0 if throws else 5.0
        for number in range(many):
            partition = number % PARTITIONS
            offset = self.ends[partition]
            self.ends[partition] += 1
            sent = json.dumps(event(event_id=f"e{partition}-{offset}", hour=number % 24, temp=temp))
            producer.produce(topic, sent, b"k%d" % number, partition)
            answered = Answered(
                partition=partition,
                offset=offset,
                version=version,
                epoch=epoch,
                role="candidate" if (epoch, version) == (2, 2) else "champion",
                key=b"k%d" % number,
                application=self.settings.application,
                topic=topic,
                reason=reason,
            )
            self.answered.append(answered)
            key, made, value = answered.stored()
            producer.produce(to, value, key, partition, headers=list(made))
        assert producer.flush(30) == 0

    def leave_unanswered(self, many: int) -> None:
        """Send events to one partition that nobody has answered yet."""
        producer = Producer(client_config(self.kafka))
        for _ in range(many):
            producer.produce(self.settings.input.topic, b"{}", b"k", 0)
        assert producer.flush(30) == 0
        self.ends[0] += many

    def abort_something(self) -> None:
        """Leave records on the predictions' topic that were never committed."""
        producer = Producer({**client_config(self.kafka), "transactional.id": f"{self.settings.application}.x"})
        producer.init_transactions(30)
        producer.begin_transaction()
        key, made, prediction = replace(self.answered[-1], offset=10**6).stored()
        producer.produce(self.settings.output.predictions, prediction, key, 0, headers=list(made))
        producer.flush(30)
        producer.abort_transaction(30)

    def delete_all_but(self, many: int) -> int:
        """Delete the events of partition 0 but for the last; return how many of the last answer that were."""
        admin = AdminClient({**self.kafka})
        for future in admin.delete_records(
            [TopicPartition(self.settings.input.topic, 0, self.ends[0] - many)]
        ).values():
            future.result(30)
        return EVENTS // PARTITIONS - many

    def shadow(self) -> AbstractContextManager[ShadowRun]:
        return shadow_run(self.settings, self.models, system_clock)

    def pairs(self) -> list[ShadowPrediction]:
        pairs, keys = [], {(each.partition, each.offset): each.key for each in self.answered}
        for message in committed(self.kafka, self.settings.shadow_topic):
            VALID.validate(json.loads(message.value()))
            pair = read_shadow(message.value())
            assert pair is not None
            assert message.partition() == pair.source_partition
            assert message.key() == keys[pair.source_partition, pair.source_offset]
            pairs.append(pair)
        return pairs


@pytest.fixture
def stream(broker: str, make_topic: MakeTopic, tmp_path: Path) -> ShadowStream:
    return ShadowStream(broker, make_topic, tmp_path)


def some(run: ShadowRun, stream: ShadowStream, most: int) -> int:
    """Take one chunk, and return how many pairs it gave."""
    reader = ServedReader(stream.settings.application)
    for _ in range(60):
        chunk = run.kafka.read(reader, most, 0.5)
        if chunk is not None:
            return run.rounds.take(chunk)
    raise AssertionError("no prediction has come")


def test_a_whole_rollout_is_paired_once_through_gaps_deletions_and_a_second_shadow(stream: ShadowStream) -> None:
    stream.answer(None, 1, EVENTS)  # before the rollout
    stream.declare()
    stream.answer(1, 1, EVENTS)
    stream.answer(1, 1, THROWN, throws=True)
    stream.abort_something()
    stream.leave_unanswered(FAR + 1)  # a jump in the input
    stream.answer(2, 2, EVENTS)
    stream.answer(2, 1, EVENTS)
    stream.answer(2, 2, THROWN, throws=True, reason="SCORING_FAILED")
    with pytest.raises(FencedError), stream.shadow() as first:
        while some(first, stream, 60) == 0:
            continue
        with stream.shadow() as second:
            second.once(Event())
            assert second.summary()["skipped"] == {}
            assert second.news.metrics.registry.get_sample_value(*THREW) in range(THROWN + 1)
        # As a process does that everybody took for dead. What it still writes is refused.
        some(first, stream, 60)
    stream.answer(4, 2, EVENTS)
    gone = stream.delete_all_but(5)
    with stream.shadow() as third:
        third.once(Event())
        assert third.summary()["pairs"] == {"1 reverse shadow": EVENTS - gone}
        assert third.summary()["skipped"] == {"event gone": gone}
    pairs = stream.pairs()
    ours = Counter(each.prediction_id for each in stream.answered[:-EVENTS] if each.epoch)
    assert Counter(pair.prediction_id for pair in pairs if pair.weight_epoch < 4) == ours
    assert len({pair.shadow_id for pair in pairs}) == len(pairs)
    assert Counter((pair.weight_epoch, pair.role, pair.shadow.version) for pair in pairs) == {
        (1, ShadowRole.SHADOW, 2): EVENTS + THROWN,
        (2, ShadowRole.SHADOW, 2): EVENTS,
        (2, ShadowRole.REVERSE_SHADOW, 1): EVENTS + THROWN,
        (4, ShadowRole.REVERSE_SHADOW, 1): EVENTS - gone,
    }
    reasons = Counter((pair.weight_epoch, pair.served.reason, pair.shadow.reason) for pair in pairs)
    assert reasons[1, None, "SCORING_FAILED"] == reasons[2, "SCORING_FAILED", None] == THROWN
    assert sum(number for (_, *why), number in reasons.items() if why == [None, None]) == len(pairs) - 2 * THROWN


@pytest.mark.parametrize("name", ["predictions", "dead_letters", "ledger"])
def test_a_shadow_says_which_topic_of_the_jobs_is_not_there(stream: ShadowStream, name: str) -> None:
    output = stream.settings.output.model_copy(update={name: "nowhere"})
    with (
        pytest.raises(ConfigurationError, match=f"'nowhere'; start the job, which makes it, or correct output.{name}"),
        shadow_run(stream.settings.model_copy(update={"output": output}), stream.models, system_clock),
    ):
        pass
