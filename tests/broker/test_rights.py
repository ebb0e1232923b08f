"""A broker that asks who one is: what it refuses is exit code 2, with the principal and the right to grant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AclOperation, NewTopic, ResourceType
from structlog.testing import capture_logs

from jobs.verbs.ledger.options import LedgerShowOptions
from jobs.verbs.ledger.run import latest
from jobs.verbs.topics.run import topics as topics_verb
from jobs.wiring.topics import require_outputs, require_rights
from schemas.model_event import Actor, EventType, ModelEvent
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.arrivals import KafkaArrivals
from streaming.adapters.kafka.claim import Claim
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.drift import KafkaDriftSink
from streaming.adapters.kafka.events import KafkaNews
from streaming.adapters.kafka.lease import KafkaLease
from streaming.adapters.kafka.ledger import KafkaLedger, LedgerTopics
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.marks import MarkStore
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import isoformat, system_clock
from streaming.delivery.marks import Writer
from streaming.delivery.write_order import Limits
from streaming.errors import BrokerUnavailableError, ConfigurationError, TopicDeletedError
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.outputs.targets import Target, Targets
from streaming.settings import Settings
from tests.conftest import HOME
from tests.support.accounts import GuardedBroker, a_guarded_broker
from tests.support.drift_reports import Watch
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
    "the verb ledger show": lambda kafka, _: latest(None, overrides(kafka), LedgerShowOptions(1)),
    "a scan": lambda kafka, topic: KafkaScan(kafka, "app").partitions(topic),
    "a log": lambda kafka, topic: list(KafkaLog(client_config(kafka), topic).read()),
}


@pytest.mark.parametrize("call", WRONG_PASSWORD.values(), ids=list(WRONG_PASSWORD))
def test_a_wrong_password_is_said_as_the_broker_says_it(call: Call, guarded: GuardedBroker, topic: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        call(guarded.settings(password="wrong"), topic)
    output = str(caught.value)
    assert f"Kafka at {guarded.address} does not accept User:penstock" in output
    assert "Invalid username or password" in output
    assert "wrong" not in output
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
        with pytest.raises(TopicDeletedError, match=r"output topic 'predictions-gone' was deleted.* 4 partitions"):
            require_outputs(admin, targets)


ROLES: dict[str, tuple[AclOperation, ...]] = {
    "": (READ,),
    ".out": (WRITE,),
    ".dlq": (WRITE,),
    ".models": (READ, WRITE),
    ".ledger": (READ, WRITE),
    ".progress": (READ, WRITE),
}


@pytest.fixture
def settings(guarded: GuardedBroker, topic: str) -> Settings:
    """A job's settings; its topics are there, and the user may see them and no more."""
    admin = guarded.admin()
    names = [topic + role for role in ROLES]
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in names[1:]]).values():
        made.result(30)
    for name in names:
        guarded.grant(TOPIC, name, DESCRIBE)
    outputs = {name: f"{topic}.{name}" for name in ("ledger", "progress")}
    return Settings.model_validate(
        {
            "application": "app",
            "kafka": guarded.settings(),
            "input": {"topic": topic},
            "output": {"predictions": f"{topic}.out", "model_events": f"{topic}.models", **outputs},
        }
    )


def test_every_right_that_a_job_needs_is_named_before_it_starts(
    guarded: GuardedBroker, settings: Settings, topic: str
) -> None:
    admin = KafkaAdmin(settings.kafka, "app")
    missing = {role: list(operations) for role, operations in ROLES.items()}

    def refused() -> str:
        try:
            require_rights(settings, admin)
        except ConfigurationError as problem:
            return str(problem)
        return ""

    def says(expected: str) -> None:  # what was granted is known to the broker a little later
        eventually(lambda: refused() == expected)

    for role, operations in ROLES.items():
        for operation in operations:
            rights = (f"{' and '.join(op.name for op in ops)} on topic {topic}{at}" for at, ops in missing.items())
            says(f"Kafka at {guarded.address} refuses: grant {', '.join(rights)} to User:penstock")
            guarded.grant(TOPIC, topic + role, operation)
            missing[role].remove(operation)
            missing = {at: ops for at, ops in missing.items() if ops}
    says("")


def test_a_denied_right_is_missing_whatever_was_granted(guarded: GuardedBroker, topic: str) -> None:
    admin = KafkaAdmin(guarded.settings(), "app")
    guarded.grant(TOPIC, topic, AclOperation.ALL)
    target = Target(topic, 1, 1_000_000)
    eventually(lambda: admin.require_rights({topic: ("WRITE", "READ")}) == {topic})
    guarded.deny(TOPIC, topic, WRITE)

    def is_refused() -> bool:
        try:
            require_outputs(admin, Targets(target, target, target))
        except ConfigurationError as problem:
            return f"grant WRITE on topic {topic} to User:penstock" in str(problem)
        return False

    eventually(is_refused)


def test_news_that_may_not_be_written_is_said_once(guarded: GuardedBroker, topic: str) -> None:
    guarded.grant(TOPIC, topic, DESCRIBE)
    news = KafkaNews(guarded.settings(), topic)
    event = ModelEvent(EventType.SWAP, "app", "tiny", "tiny@champion", Actor.FOLLOWER, isoformat(system_clock()))
    with capture_logs() as logs:
        for _ in range(3):
            news.send(event)
            news.close()
    problems = [str(line["problem"]) for line in logs if line["event"] == "event_lost"]
    assert len(problems) == 1
    assert f"grant WRITE on topic {topic} to User:penstock" in problems[0]


def test_drift_records_that_may_not_be_written_are_refused_each_time(guarded: GuardedBroker, topic: str) -> None:
    guarded.grant(TOPIC, topic, DESCRIBE)
    sink = KafkaDriftSink(guarded.settings(), topic)
    for _ in range(3):
        sink.publish([], Watch(names=["temp"]).window(0.0))
        with pytest.raises(ConfigurationError, match=rf"grant WRITE on topic {topic} to User:penstock"):
            sink.flush()


def test_outputs_that_may_not_be_read_are_not_seen_and_named(guarded: GuardedBroker, topic: str) -> None:
    guarded.grant(TOPIC, topic, DESCRIBE)

    def is_named(right: str) -> bool:
        warned: list[str] = []
        arrivals = KafkaArrivals(
            guarded.settings(), [topic], PlannedArms.only(ModelVersion("flights", 1)), warned.append
        )
        eventually(lambda: not arrivals.reached({0: 1}) and warned)
        arrivals.close()
        return f"grant {right} to User:penstock" in warned[0]

    eventually(lambda: is_named("READ on group penstock-arrivals"))
    guarded.grant(GROUP, "penstock-arrivals", READ)
    eventually(lambda: is_named(f"READ on topic {topic}"))


def test_a_name_that_does_not_resolve_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.adapters.kafka.admin._TIMEOUT", 2.0)
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
