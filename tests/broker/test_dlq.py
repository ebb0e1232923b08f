"""``penstock dlq`` over a real broker: what is shown is what is there, and what is sent again is what arrived."""

from __future__ import annotations

import json
import signal
import subprocess
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.command import main as cli
from schemas.dead_letter import ERROR_TOPIC, ORIGINAL_TIMESTAMP, REPLAYS, VALUE_OMITTED, Rejection
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.dead_letters import KafkaDeadLetters, KafkaReplays
from streaming.clock import system_clock
from streaming.errors import FencedError
from streaming.models.ref import ModelVersion
from streaming.outputs.dead_letters import DeadLetter, Headers, Place, Selection
from streaming.outputs.envelope import Stamp
from streaming.outputs.headers import rejected
from streaming.outputs.resend import Replayed, Rules, decide
from streaming.outputs.targets import Target
from tests.support.commands import command, environment
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic

AGO = 1357017300000
NASTY: list[tuple[bytes | None, bytes | None, Headers]] = [
    (b"k", b"{", (("h", b"1"), ("h", None), ("h", b"\xff\x00"))),
    (None, None, ()),
    (b"", b"", (("", b""),)),
    (b"\xff\xfe", bytes(range(256)), ((ERROR_TOPIC, b"elsewhere"), (VALUE_OMITTED, b"true"))),
    ("ключ".encode(), '{"städte": "\x1b[2J"}'.encode(), (("über", "ä".encode()),)),
]


class Done(NamedTuple):
    """How a verb ended, and what it wrote."""

    code: int
    output: bytes
    errors: bytes


@dataclass
class Desk:
    """An operator's place: an application's topics and its configuration file."""

    servers: str
    topic: str
    home: Path

    def __post_init__(self) -> None:
        self.memory = f"replays-{uuid4().hex[:8]}"
        kafka = {"bootstrap.servers": self.servers}
        settings = {"application": self.topic, "kafka": kafka, "input": {"topic": self.topic}}
        (self.home / "penstock.yaml").write_text(yaml.safe_dump({**settings, "output": {"replays": self.memory}}))
        self.producer = Producer({"bootstrap.servers": self.servers})

    def reject(
        self, events: Iterable[tuple[bytes | None, bytes | None, Headers]], reason: str = "MALFORMED_JSON", **stamp: str
    ) -> None:
        """Write dead letters of events that were at ``1:7`` of the topic, as the job does."""
        at = stamp.get("at", "2026-01-01T00:00:00.000Z")
        made_by = Stamp(self.topic, ModelVersion("m", 1, "run"), "champion", at)
        for key, value, own in events:
            headers = rejected(own, Rejection(reason), (self.topic, 1, 7), self.topic, made_by)
            self.producer.produce(f"{self.topic}.dlq", value, key, 0, timestamp=AGO, headers=headers)
            self.producer.poll(0)
        assert self.producer.flush(30) == 0

    def run(self, *arguments: str) -> Done:
        """Run the verb in this process."""
        output, errors = BytesIO(), BytesIO()
        out, err = TextIOWrapper(output, "utf-8"), TextIOWrapper(errors, "utf-8")
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            cli.main(["dlq", *arguments, "-c", str(self.home / "penstock.yaml")])
        out.flush()
        err.flush()
        return Done(int(ended.value.code or 0), output.getvalue(), errors.getvalue())

    def dlq(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.code == 0, done.errors
        return done.output.decode()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.dlq(*arguments, "--json"))

    def events(self) -> list[Any]:
        """The committed records of the input topic."""
        own = {"group.id": "reader", "isolation.level": "read_committed", "enable.partition.eof": "true"}
        consumer = Consumer({"bootstrap.servers": self.servers, "enable.auto.commit": "false", **own})
        consumer.assign([TopicPartition(self.topic, partition, 0) for partition in (0, 1)])
        result, ended = [], 0
        while ended < 2:
            message: Any = consumer.poll(30)
            assert message is not None
            ended += message.error() is not None
            result += [] if message.error() else [message]
        consumer.close()
        return sorted(result, key=lambda message: (message.partition(), message.offset()))

    def read(self) -> list[DeadLetter]:
        admin = KafkaAdmin({"bootstrap.servers": self.servers}, "any")
        letters = KafkaDeadLetters(
            {"bootstrap.servers": self.servers}, "any", admin.required_topic(f"{self.topic}.dlq")
        )
        return list(letters.read(Selection()))


@pytest.fixture
def desk(broker: str, make_topic: MakeTopic, tmp_path: Path) -> Desk:
    topic = make_topic("features", partitions=2)
    KafkaAdmin({"bootstrap.servers": broker}, "any").ensure_topic(f"{topic}.dlq", 2, {"retention.ms": "-1"})
    made = Desk(broker, topic, tmp_path)
    eventually(lambda: made.read() == [])
    return made


def parts(message: Any) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers without the two that count replays."""
    headers = tuple(h for h in message.headers() or () if h[0] not in (REPLAYS, ORIGINAL_TIMESTAMP))
    return message.key(), message.value(), headers


def test_the_list_counts_by_reason_and_shows_the_newest(desk: Desk) -> None:
    desk.reject([(b"k", b"{", ())] * 3, "MALFORMED_JSON", at="2026-01-01T00:00:00.000Z")
    desk.reject([(b"k", b"[]", ())] * 2, "NOT_AN_OBJECT", at="2026-01-02T00:00:00.000Z")
    result = desk.json("list", "--limit", "3")
    assert (result["total"], result["reasons"]) == (5, {"MALFORMED_JSON": 3, "NOT_AN_OBJECT": 2})
    assert [letter["offset"] for letter in result["newest"]] == [4, 3, 2]
    assert result["newest"][0] == {
        "partition": 0,
        "offset": 4,
        "source_topic": desk.topic,
        "source_partition": 1,
        "source_offset": 7,
        "reason": "NOT_AN_OBJECT",
        "message": "the value is JSON but not an object",
        "rejected_at": "2026-01-02T00:00:00.000Z",
        "timestamp": AGO,
        "replays": 0,
        "value_bytes": 2,
    }
    shown = desk.dlq("list")
    for words in (
        "5 dead letters",
        "NOT_AN_OBJECT",
        f"{desk.topic} 1:7",
        "2026-01-02T00:00:00.000Z",
        "not strict JSON",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param(["--reason", "oversize"], {"OVERSIZE": 1}, id="a reason"),
        pytest.param(
            ["--reason", "OVERSIZE", "--reason", "MISSING_FIELD"], {"OVERSIZE": 1, "MISSING_FIELD": 1}, id="two"
        ),
        pytest.param(["--from", "2026-01-02"], {"MISSING_FIELD": 1}, id="since"),
        pytest.param(["--to", "2026-01-02T00:00:00Z"], {"OVERSIZE": 1}, id="until"),
        pytest.param(["--partition", "1"], {}, id="a partition without any"),
    ],
)
def test_the_list_can_be_narrowed(desk: Desk, filters: list[str], expected: dict[str, int]) -> None:
    desk.reject([(b"k", b"v", ())], "OVERSIZE", at="2026-01-01T23:59:59.999Z")
    desk.reject([(b"k", b"v", ())], "MISSING_FIELD", at="2026-01-02T00:00:00.000Z")
    assert desk.json("list", *filters)["reasons"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["list", "--reason", "BAD_LUCK"], "there is no reason 'BAD_LUCK'", id="reason"),
        pytest.param(["list", "--since", "noon"], "--from 'noon' is not a time", id="time"),
        pytest.param(["show", "--partition", "0", "--offset", "9"], "there is no dead letter at 0:9", id="offset"),
        pytest.param(["replay", "0-9"], "'0-9' is not a position", id="place"),
        pytest.param(["list", "--set", "output.dead_letters=other"], "there is no topic 'other'", id="topic"),
        pytest.param(["replay", "--to", "nowhere"], "there is no topic 'nowhere' to send to", id="destination"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, arguments: list[str], message: str) -> None:
    desk.reject([(b"k", b"v", ())])
    done = desk.run(*arguments)
    assert (done.code, done.output) == (2, b"")
    assert message in done.errors.decode()


def test_one_dead_letter_is_shown_whole_and_nothing_in_it_reaches_the_terminal(desk: Desk) -> None:
    desk.reject(NASTY)
    places = [["show", "--partition", "0", "--offset", str(offset)] for offset in range(len(NASTY))]
    for position, (key, value, own) in zip(places, NASTY, strict=True):
        result = desk.json(*position)
        assert [None if result[name] is None else b64decode(result[name]) for name in ("key", "value")] == [key, value]
        headers = [(name, None if word is None else b64decode(word)) for name, word in result["headers"]]
        assert tuple(headers[: result["own_headers"]]) == own
        raw = desk.run(*position, "--raw")
        assert (raw.code, raw.output) == (0, value or b"")
    pages = [desk.dlq(*position) for position in places]
    assert "MALFORMED_JSON" in pages[0]
    assert "0xff00" in pages[0]
    assert "null" in pages[1]
    assert "00000010  10 11 12" in pages[3]
    assert "\x1b" not in "".join(pages)


def test_a_replay_is_dry_by_default_then_byte_identical_once_and_again_only_if_asked(desk: Desk) -> None:
    desk.reject(NASTY)
    assert "Nothing was sent. To send: 5" in desk.dlq("replay")
    assert desk.events() == []
    assert "Sent: 5." in desk.dlq("replay", "--send")
    sent = desk.events()
    assert [parts(message) for message in sent] == NASTY
    assert {message.partition() for message in sent} == {1}
    assert {dict(message.headers())[ORIGINAL_TIMESTAMP] for message in sent} == {str(AGO).encode()}
    assert min(message.timestamp()[1] for message in sent) > AGO
    again = desk.json("replay", "--send")
    assert (again["events"], [row["result"] for row in again["by_reason"]]) == (0, ["sent_before"])
    assert desk.json("replay", "0:1", "0:3", "--again", "--send")["events"] == 2
    assert [parts(message) for message in desk.events()] == [*NASTY, NASTY[1], NASTY[3]]


def test_a_timestamp_that_is_the_event_time_stays_and_another_topic_may_take_the_events(
    desk: Desk, make_topic: MakeTopic
) -> None:
    desk.reject(NASTY[:2])
    other = make_topic("other", partitions=1)
    changes = ["--set", "event.time=null", "--to-topic", other, "--limit", "1"]
    assert desk.json("replay", "--send", *changes)["by_reason"][0]["topic"] == other
    desk.topic, before = other, desk.topic
    # One partition only, so that the key decides.
    own = {"group.id": "reader", "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": desk.servers, **own})
    consumer.assign([TopicPartition(other, 0, 0)])
    message: Any = consumer.poll(30)
    consumer.close()
    assert (parts(message), message.timestamp()[1]) == (NASTY[0], AGO)
    desk.topic = before
    assert desk.events() == []


def test_an_event_that_went_round_too_often_is_left(desk: Desk) -> None:
    desk.reject([(b"k", b"v", ((REPLAYS, b"3"),)), (b"k", b"w", ((REPLAYS, b"2"),))])
    results = {row["result"]: row["events"] for row in desk.json("replay", "--send")["by_reason"]}
    assert results == {"too_often": 1, "sent": 1}
    (message,) = desk.events()
    assert (message.value(), dict(message.headers())[REPLAYS]) == (b"w", b"3")
    assert desk.json("replay", "--send", "--max-replays", "4")["events"] == 1


def test_a_replay_that_is_killed_in_the_middle_is_finished_by_the_next_and_doubles_nothing(desk: Desk) -> None:
    numbers = [str(number).encode() for number in range(30_000)]
    desk.reject((number, number, ()) for number in numbers)
    # A record in a request and a request at a time: so slow that the kill comes in the middle on any machine.
    slow = ["--set", "kafka.batch.num.messages=1", "--set", "kafka.max.in.flight.requests.per.connection=1"]
    running = subprocess.Popen(
        command("dlq", "replay", "--send", "-c", "penstock.yaml", *slow), cwd=desk.home, env=environment()
    )
    admin = KafkaAdmin({"bootstrap.servers": desk.servers}, "any")
    eventually(lambda: admin.offsets(desk.topic, [1], "latest")[1] > 3_000, every=0.01)
    running.kill()
    assert running.wait(10) == -signal.SIGKILL
    counted = desk.json("replay", "--send")
    results = {row["result"]: row["events"] for row in counted["by_reason"]}
    assert results["sent_before"] > 0
    assert results["sent"] > 0
    assert Counter(message.value() for message in desk.events()) == Counter(numbers)


def test_a_replay_that_another_one_overtakes_sends_nothing_more(desk: Desk) -> None:
    desk.reject(NASTY[:2])
    kafka = {"bootstrap.servers": desk.servers}
    admin = KafkaAdmin(kafka, "any")
    admin.ensure_topic(desk.memory, 1, {"cleanup.policy": "compact"})
    replays = KafkaReplays(kafka, desk.topic, desk.memory, admin.required_topic(f"{desk.topic}.dlq"))
    first, second = desk.read()

    def record(letter: DeadLetter) -> Replayed:
        result = decide(letter, Target(desk.topic, 2, 1_000_000), (), Rules())
        assert isinstance(result, Replayed)
        return result

    with pytest.raises(FencedError, match="another penstock dlq replay"), replays.sender(system_clock) as old:
        old.send(first, record(first))
        with replays.sender(system_clock) as young:
            assert replays.done() == set()
            young.send(second, record(second))
    assert [parts(message) for message in desk.events()] == [NASTY[1]]
    assert replays.done() == {Place(0, 1)}
