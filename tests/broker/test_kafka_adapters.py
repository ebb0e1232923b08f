"""The ledger, the lease and the admin client over a real broker."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config, spark_options
from streaming.adapters.kafka.ledger import KafkaLedger, LedgerTopics
from streaming.clock import system_clock
from streaming.delivery.marks import Mark, Writer
from streaming.errors import BrokerUnavailableError, ConfigurationError, FencedError
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import PartitionOutcome, Plan
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.targets import Target
from tests.support.kafka import MakeTopic


@pytest.fixture
def application() -> str:
    return f"app-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def topics(make_topic: MakeTopic) -> tuple[str, str, str]:
    progress = make_topic("progress", partitions=1, cleanup_policy="compact")
    return make_topic("features", partitions=2), make_topic("ledger", partitions=1), progress


def ledger(broker: str, topics: tuple[str, str, str], application: str) -> KafkaLedger:
    books = LedgerTopics(topics[1], Target(topics[2], 1, 1_000_000))
    return KafkaLedger({"bootstrap.servers": broker}, books, application, topics[0], system_clock)


def plan(application: str, epoch: int, version: int = 1) -> Plan:
    ranges = {0: OffsetRange(0, 10), 1: OffsetRange(5, 5)}
    arms = PlannedArms.only(ModelVersion("m", version, "run"))
    return Plan(f"{epoch}.1", application, "features", "id", "checkpoint", 0, ranges, arms, "2026-01-01")


def test_each_driver_gets_a_higher_epoch_than_any_before(
    broker: str, topics: tuple[str, str, str], application: str
) -> None:
    assert [ledger(broker, topics, application).open() for _ in range(3)] == [1, 2, 3]


def test_a_driver_that_was_overtaken_cannot_write_and_the_younger_one_still_can(
    broker: str, topics: tuple[str, str, str], application: str
) -> None:
    old, young = ledger(broker, topics, application), ledger(broker, topics, application)
    old.open()
    young.open()
    with pytest.raises(FencedError, match="epoch 2 has taken over from 1"):
        old.record_plan(plan(application, 1))
    young.record_plan(plan(application, 2, version=7))
    third = ledger(broker, topics, application)
    assert third.open() == 3
    assert [p.version.version for p in third.recent()] == [7]


class Overtaken(KafkaLedger):
    """A ledger that others open each time when this driver is about to write."""

    others: list[KafkaLedger]

    def _transact(self, record: dict[str, Any], marks: Mapping[int, Mark]) -> None:
        if self.others:
            self.others.pop().open()
        super()._transact(record, marks)


def overtaken(broker: str, topics: tuple[str, str, str], application: str, times: int) -> Overtaken:
    books = LedgerTopics(topics[1], Target(topics[2], 1, 1_000_000))
    made = Overtaken({"bootstrap.servers": broker}, books, application, topics[0], system_clock)
    made.others = [ledger(broker, topics, application) for _ in range(times)]
    return made


@pytest.mark.parametrize("times", [1, 2])
def test_of_drivers_that_start_at_the_same_time_one_goes_on_and_the_others_cannot_write(
    broker: str, topics: tuple[str, str, str], application: str, times: int
) -> None:
    last = overtaken(broker, topics, application, times)
    others = [*last.others]
    assert last.open() == times + 1
    for other in others:
        with pytest.raises(FencedError, match="has taken over from"):
            other.record_plan(plan(application, 1))
    last.record_plan(made := plan(application, times + 1))
    again = ledger(broker, topics, application)
    assert again.open() == times + 2
    assert again.recent() == (made,)


def test_a_driver_that_others_overtake_at_each_try_says_so(
    broker: str, topics: tuple[str, str, str], application: str
) -> None:
    with pytest.raises(FencedError, match="open its ledger over and over"):
        overtaken(broker, topics, application, 9).open()


def test_what_lies_behind_a_transaction_that_somebody_left_open_is_waited_for(
    broker: str, topics: tuple[str, str, str], application: str
) -> None:
    first, second = ledger(broker, topics, application), ledger(broker, topics, application)
    first.open()
    stranger = Producer({"bootstrap.servers": broker, "transactional.id": f"{application}-stranger"})
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(topics[1], b"{}", "stranger")
    assert stranger.flush(30) == 0
    first.record_plan(made := plan(application, 1))
    with ThreadPoolExecutor(1) as thread:
        opening = thread.submit(second.open)
        with pytest.raises(FutureTimeout):
            opening.result(3)
        stranger.abort_transaction(30)
        assert opening.result(30) == 2
    assert second.recent() == (made,)


def test_a_plan_is_found_again_for_its_ranges_or_a_part_of_them_and_for_no_others(
    broker: str, topics: tuple[str, str, str], application: str
) -> None:
    first = ledger(broker, topics, application)
    first.record_plan(made := plan(application, first.open()))
    again = ledger(broker, topics, application)
    again.open()
    assert again.find("checkpoint", {0: OffsetRange(0, 10)}) == made
    assert again.find("checkpoint", {0: OffsetRange(3, 4), 1: OffsetRange(9, 9)}) == made
    assert again.find("checkpoint", {0: OffsetRange(0, 11)}) is None
    assert again.find("another", {0: OffsetRange(0, 10)}) is None


def test_an_outcome_and_the_marks_of_idle_partitions_are_one_transaction(
    broker: str, topics: tuple[str, str, str], application: str
) -> None:
    book = ledger(broker, topics, application)
    made = plan(application, book.open())
    writer = Writer(application, topics[0], "id", 1)
    book.record_outcome(made, {1: PartitionOutcome(0, 5)}, {1: Mark.at(5, writer, made.id)})
    admin = KafkaAdmin({"bootstrap.servers": broker}, application)
    assert admin.marks(topics[0], range(2)) == {1: Mark(5, application, "id", 1, made.id)}


def test_a_strangers_commit_is_seen_as_such(broker: str, topics: tuple[str, str, str], application: str) -> None:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": application})
    consumer.commit(offsets=[TopicPartition(topics[0], 0, 3)], asynchronous=False)
    consumer.close()
    assert KafkaAdmin({"bootstrap.servers": broker}, application).marks(topics[0], range(2)) == {0: None}


def test_a_topic_is_described_created_once_and_sampled(broker: str, application: str) -> None:
    admin, name = KafkaAdmin({"bootstrap.servers": broker}, application), f"t-{uuid4().hex[:8]}"
    assert admin.topic(name) is None
    with pytest.raises(ConfigurationError, match=name):
        admin.required_topic(name)
    made = admin.ensure_topic(name, 2, {"max.message.bytes": "5000"})
    assert (made.partitions, made.max_record_bytes) == (2, 5000)
    assert admin.ensure_topic(name, 9, {}) == made
    assert admin.recent(name, 10) == []
    producer = Producer({"bootstrap.servers": broker})
    for number in range(20):
        producer.produce(name, str(number) if number % 5 else None, partition=number % 2)
    assert producer.flush(10) == 0
    assert sorted(admin.recent(name, 6)) == [b"14", b"16", b"17", b"18", b"19"]
    assert admin.offsets(name, range(2), "latest") == {0: 10, 1: 10}


@pytest.mark.long
def test_a_silent_broker_is_named() -> None:
    admin = KafkaAdmin({"bootstrap.servers": "127.0.0.1:1", "socket.connection.setup.timeout.ms": "1000"}, "app")
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        admin.topic("t")


@pytest.mark.parametrize(
    ("given", "client", "spark"),
    [
        pytest.param(
            {"sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": 'p"\\'},
            {"sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": 'p"\\'},
            {
                "kafka.sasl.mechanism": "PLAIN",
                "kafka.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required"
                ' username="u" password="p\\"\\\\";',
            },
            id="librdkafka's names",
        ),
        pytest.param(
            {"sasl.jaas.config": 'org.x.ScramLoginModule required username="u" password="a\\"b";'},
            {"sasl.username": "u", "sasl.password": 'a"b'},
            {"kafka.sasl.jaas.config": 'org.x.ScramLoginModule required username="u" password="a\\"b";'},
            id="Java's names",
        ),
        pytest.param(
            {"ssl.ca.location": "/ca.pem"},
            {"ssl.ca.location": "/ca.pem"},
            {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": "/ca.pem"},
            id="TLS",
        ),
    ],
)
def test_security_settings_reach_both_clients(
    given: dict[str, str], client: dict[str, str], spark: dict[str, str]
) -> None:
    made = client_config(given)
    del made["log_level"]
    assert made == client
    options = spark_options(given)
    del options["kafka.fetch.max.wait.ms"]
    assert options == spark
