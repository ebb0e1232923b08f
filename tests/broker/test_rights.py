"""A broker that asks who one is: what it refuses is exit code 2, with the principal and the right to grant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AclOperation, NewTopic, ResourceType

from jobs.verbs.ledger.run import Filter, latest
from jobs.verbs.topics.run import topics as topics_verb
from jobs.wiring.topics import require_outputs
from streaming.adapters.kafka import KafkaAdmin
from streaming.adapters.kafka_claim import Claim
from streaming.adapters.kafka_config import client_config
from streaming.adapters.kafka_lease import KafkaLease
from streaming.adapters.kafka_ledger import KafkaLedger, LedgerTopics
from streaming.adapters.kafka_log import KafkaLog
from streaming.adapters.kafka_marks import MarkStore
from streaming.adapters.kafka_scan import KafkaScan
from streaming.clock import system_clock
from streaming.delivery.marks import Writer
from streaming.delivery.plan import Limits, Target, Targets
from streaming.errors import BrokerUnavailableError, ConfigurationError
from tests.conftest import HOME
from tests.support.accounts import GuardedBroker, a_guarded_broker
from tests.support.eventually import eventually

READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
TOPIC, GROUP, ID = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    with a_guarded_broker(HOME, tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


@pytest.fixture
def topic(guarded: GuardedBroker) -> str:
    name = f"t-{uuid4().hex[:8]}"
    admin = guarded.admin()
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    eventually(lambda: name in admin.list_topics(timeout=10).topics)
    return name


class Silent:
    def lease_changed(self, *, held: bool) -> None:
        """Nobody listens."""


def overrides(kafka: dict[str, str]) -> list[str]:
    return [f"kafka.{key}={value}" for key, value in kafka.items()]


def a_ledger(kafka: dict[str, str], topic: str) -> KafkaLedger:
    return KafkaLedger(kafka, LedgerTopics(topic, Target(topic, 1, 1_000_000)), "app", topic, system_clock)


def a_store(kafka: dict[str, str], topic: str) -> MarkStore:
    return MarkStore(client_config(kafka), Writer("app", topic, "id", 1), Limits(1_000_000, 10_000))


Call = Callable[[dict[str, str], str], object]
WRONG_PASSWORD: dict[str, Call] = {
    "the verb topics": lambda kafka, _: topics_verb(None, overrides(kafka), None),
    "the verb ledger show": lambda kafka, _: latest(None, overrides(kafka), Filter(1)),
    "a scan": lambda kafka, topic: KafkaScan(kafka, "app").partitions(topic),
    "a log": lambda kafka, topic: list(KafkaLog(client_config(kafka), topic).read()),
}


@pytest.mark.parametrize("call", WRONG_PASSWORD.values(), ids=list(WRONG_PASSWORD))
def test_a_wrong_password_is_said_as_the_broker_says_it(call: Call, guarded: GuardedBroker, topic: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        call(guarded.settings(password="wrong"), topic)
    said = str(caught.value)
    assert f"Kafka at {guarded.address} does not accept User:penstock" in said
    assert "Invalid username or password" in said
    assert "wrong" not in said
    assert caught.value.exit_code == 2


def test_a_wrong_password_is_known_within_seconds_and_not_when_patience_is_over(guarded: GuardedBroker) -> None:
    kafka = {**guarded.settings(), "sasl.jaas.config": 'x required username="other" password="none";'}
    del kafka["sasl.username"], kafka["sasl.password"]
    done = threading.Event()

    def ask() -> None:
        with pytest.raises(ConfigurationError, match="does not accept User:other"):
            KafkaAdmin(kafka, "app").topic("features")
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    assert done.wait(12), "the client's patience is 15 s"


NO_RIGHT: dict[str, tuple[Call, str]] = {
    "describe a topic": (
        lambda kafka, topic: KafkaAdmin(kafka, "app").topic(topic),
        "DESCRIBE and DESCRIBE_CONFIGS on topic {}",
    ),
    "a topic that is to be there": (
        lambda kafka, topic: KafkaAdmin(kafka, "app").required_topic(topic),
        "DESCRIBE and DESCRIBE_CONFIGS on topic {}",
    ),
    "scan a topic": (lambda kafka, topic: KafkaScan(kafka, "app").partitions(topic), "READ on topic {}"),
    "read a log": (lambda kafka, topic: list(KafkaLog(client_config(kafka), topic).read()), "READ on topic {}"),
    "the ledger's id": (
        lambda kafka, topic: a_ledger(kafka, topic).open(),
        "WRITE and DESCRIBE on transactional id app.driver",
    ),
    "a partition's id": (
        lambda kafka, topic: Claim(a_store(kafka, topic)).partitions([0]),
        "WRITE and DESCRIBE on transactional id app.{}.0",
    ),
    "the lease's group": (
        lambda kafka, topic: KafkaLease(kafka, topic, "app", 10, Silent()).wait(threading.Event()),
        "READ on group app.lease",
    ),
}


@pytest.mark.parametrize(("call", "right"), NO_RIGHT.values(), ids=list(NO_RIGHT))
def test_a_right_that_is_missing_is_named_with_who_needs_it(
    call: Call, right: str, guarded: GuardedBroker, topic: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        call(guarded.settings(), topic)
    assert f"refuses: grant {right.format(topic)} to User:penstock" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_topic_that_may_be_seen_and_not_read_or_written(guarded: GuardedBroker, topic: str) -> None:
    guarded.grant(TOPIC, topic, DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
    application = f"app-{topic}"
    guarded.grant(ID, f"{application}.driver", WRITE, DESCRIBE)
    guarded.grant(GROUP, f"{topic}.log", READ)
    kafka = guarded.settings()
    assert eventually(lambda: KafkaAdmin(kafka, "app").topic(topic)).name == topic
    admin = guarded.admin()  # named, so that it is not closed while it is asked
    assert topic in admin.list_topics(timeout=10).topics
    books = LedgerTopics(topic, Target(topic, 1, 1_000_000))
    ledger = KafkaLedger(kafka, books, application, topic, system_clock)
    with pytest.raises(ConfigurationError, match=rf"grant WRITE on topics {topic}"):
        ledger.record_start({})


def test_a_topic_that_is_missing_is_still_missing_for_whoever_may_see_it(guarded: GuardedBroker) -> None:
    kafka = guarded.settings("admin", "admin-password")
    assert KafkaAdmin(kafka, "app").topic("nothing") is None
    with pytest.raises(ConfigurationError, match="there is no topic 'nothing'"):
        KafkaAdmin(kafka, "app").required_topic("nothing")
    assert KafkaScan(kafka, "app").partitions("nothing") == 0


def test_an_output_topic_that_was_deleted_is_named(guarded: GuardedBroker, topic: str) -> None:
    admin, target = KafkaAdmin(guarded.settings("admin", "admin-password"), "app"), Target(topic, 1, 1_000_000)
    require_outputs(admin, Targets(target, target, target))
    gone = Target("predictions-gone", 4, 1_000_000)
    for targets in (Targets(gone, target, target), Targets(target, gone, target), Targets(target, target, gone)):
        with pytest.raises(BrokerUnavailableError, match=r"output topic 'predictions-gone' was deleted.* 4 partitions"):
            require_outputs(admin, targets)


def test_a_name_that_does_not_resolve_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.adapters.kafka._TIMEOUT", 2.0)
    with pytest.raises(BrokerUnavailableError, match=r"Failed to resolve 'no-such-broker\.invalid:9092'"):
        KafkaAdmin({"bootstrap.servers": "no-such-broker.invalid:9092"}, "app").topic("features")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}, id="a certificate not there"),
        pytest.param({"no.such.key": "1"}, id="an unknown key"),
    ],
)
def test_settings_that_the_client_does_not_take_are_said(settings: dict[str, str], tmp_path: Path) -> None:
    kafka = {"bootstrap.servers": "127.0.0.1:1", **settings}
    for call in (lambda: KafkaAdmin(kafka, "app"), lambda: KafkaScan(kafka, "app")):
        with pytest.raises(ConfigurationError, match="Kafka's client does not take the section kafka"):
            call()
