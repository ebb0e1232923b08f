"""What the broker has forgotten or deleted, under a job or while it was down: restored, named, or skipped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.progress import saved_marks
from streaming.clock import system_clock
from streaming.delivery.marks import Mark
from streaming.engines.breaker import Bounds, Breaker
from streaming.errors import ConfigurationError, MissingMarkError, OffsetGapError, TopicRecreatedError
from tests.support.engine import Bench, event
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.serving import Serving, serving


def send(bench: Bench, first: int, end: int) -> None:
    """Events of consecutive numbers, the even ones to partition 0."""
    for partition in (0, 1):
        bench.send((event(i) for i in range(first, end) if i % 2 == partition), partition)


def forget_group(bench: Bench) -> None:
    """What the broker does by itself some days after the last commit."""
    admin = AdminClient({**bench.kafka})
    admin.delete_consumer_groups([bench.application])[bench.application].result(30)
    assert KafkaAdmin(bench.kafka, bench.application).marks(bench.topic, range(2)) == {}


def delete_before(bench: Bench, partition: int, offset: int) -> None:
    """What retention does."""
    admin = AdminClient({**bench.kafka})
    (done,) = admin.delete_records([TopicPartition(bench.topic, partition, offset)]).values()
    assert done.result(30).low_watermark == offset


def delete_topic(bench: Bench, name: str) -> None:
    admin = AdminClient({**bench.kafka})
    admin.delete_topics([name])[name].result(30)
    eventually(lambda: KafkaAdmin(bench.kafka, "any").topic(name) is None)


def recreate(bench: Bench) -> None:
    delete_topic(bench, bench.topic)
    KafkaAdmin(bench.kafka, "any").ensure_topic(bench.topic, 2, {"retention.ms": "-1"})


def ledger(bench: Bench, kind: str) -> list[dict[str, Any]]:
    records = [json.loads(message.value()) for message in bench.read(".ledger")]
    return [record for record in records if record["type"] == kind]


def scored(bench: Bench) -> list[int]:
    return sorted(int(prediction["event_id"].removeprefix("e")) for prediction in bench.predictions())


def skipped_records(bench: Bench) -> float | None:
    return bench.metrics.registry.get_sample_value("penstock_skipped_records_total")


def set_aside(bench: Bench) -> list[Path]:
    return list(bench.home.glob("checkpoint.set-aside-*"))


@pytest.mark.long
@pytest.mark.parametrize("checkpoint", ["kept", "lost"])
def test_marks_that_expired_are_restored_and_nothing_is_scored_twice(bench: Bench, checkpoint: str) -> None:
    send(bench, 0, 20)
    bench.run()
    forget_group(bench)
    if checkpoint == "lost":
        bench.home /= "another"
    send(bench, 20, 30)
    bench.run()
    assert scored(bench) == list(range(30))
    restored = [record for record in ledger(bench, "start") if record.get("restored")]
    assert [record["starts"] for record in restored] == [{"0": 10}, {"1": 10}]


@pytest.mark.long
def test_without_marks_and_progress_a_job_with_a_history_fails_closed(bench: Bench) -> None:
    send(bench, 0, 20)
    bench.run()
    forget_group(bench)
    delete_topic(bench, f"{bench.topic}.progress")
    homes = bench.home, bench.home / "another"
    for on_gap, home in product(("fail", "skip"), homes):
        bench.on_gap, bench.home = on_gap, home
        with pytest.raises(MissingMarkError, match=r"partitions \[0, 1\]"):
            bench.run()
    assert scored(bench) == list(range(20))


@pytest.mark.long
@pytest.mark.parametrize("application", ["the same", "another"])
def test_a_checkpoint_of_another_topic_is_refused_by_name_and_the_topic_scored_with_one_of_its_own(
    bench: Bench, make_topic: MakeTopic, application: str
) -> None:
    bench.send([event(1)])
    bench.run()
    earlier, bench.topic = bench.topic, make_topic("features", partitions=2, retention_ms=-1)
    if application == "another":
        bench.application += "-2"
    bench.send([event(2)])
    with pytest.raises(ConfigurationError, match=f"of '{earlier}', but input.topic is '{bench.topic}'"):
        bench.run()
    bench.home /= "another"
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == ["e2"]


@pytest.mark.long
def test_a_ledger_that_has_forgotten_every_driver_does_not_lock_the_job_out(bench: Bench) -> None:
    for first in (0, 10):
        send(bench, first, first + 10)
        bench.run()
    delete_topic(bench, f"{bench.topic}.ledger")
    forget_group(bench)
    for first in (20, 30):
        send(bench, first, first + 10)
        bench.run()
    assert scored(bench) == list(range(40))
    assert [record["epoch"] for record in ledger(bench, "lease")] == [3, 4]


@pytest.mark.long
def test_records_deleted_before_they_were_scored_are_named_then_skipped_and_audited(bench: Bench) -> None:
    send(bench, 0, 20)
    bench.run()
    send(bench, 20, 40)
    delete_before(bench, 0, 15)
    with pytest.raises(OffsetGapError, match=r"partition 0: offsets 10 to 14 \(5\)\. Nothing was written"):
        bench.run()
    assert scored(bench) == list(range(20))
    assert set_aside(bench) == []

    bench.on_gap = "skip"
    bench.run()
    lost = {20, 22, 24, 26, 28}
    assert scored(bench) == sorted(set(range(40)) - lost)
    (skip,) = ledger(bench, "skip")
    assert (skip["application"], skip["topic"], skip["gaps"]) == (bench.application, bench.topic, {"0": [10, 15]})
    assert skipped_records(bench) == 5
    assert len(set_aside(bench)) == 1

    send(bench, 40, 50)
    bench.run()
    assert scored(bench) == sorted(set(range(50)) - lost)
    assert len(ledger(bench, "skip")) == 1


@pytest.mark.long
def test_a_checkpoint_that_asks_for_what_is_scored_and_deleted_gives_way_to_the_marks(bench: Bench) -> None:
    send(bench, 0, 20)
    bench.run()
    (bench.home / "checkpoint/commits/0").unlink()  # a crash between the output and Spark's own commit log
    delete_before(bench, 0, 10)
    send(bench, 20, 30)
    bench.run()
    assert scored(bench) == list(range(30))
    assert len(ledger(bench, "set_aside")) == len(set_aside(bench)) == 1
    assert ledger(bench, "skip") == []


class Gate(Breaker):
    """Holds each batch until it is opened."""

    def __init__(self) -> None:
        super().__init__(Bounds(share=1.0, seconds=60, rows=1), system_clock)
        self.go_on = threading.Event()

    def wait(self, stopping: threading.Event) -> None:
        self.go_on.wait(60)
        super().wait(stopping)


@contextmanager
def running(bench: Bench) -> Iterator[Serving]:
    """A job that serves; what ended it is raised at the end."""
    with serving(bench) as job:
        yield job
    if job.failed:
        raise job.failed[0]


def lose_some_under_it(bench: Bench) -> None:
    send(bench, 0, 60)
    bench.breaker = gate = Gate()
    with running(bench) as job:
        eventually((bench.home / "checkpoint" / "offsets" / "0").exists)
        delete_before(bench, 0, 20)  # the batch that waits was to begin at 0
        gate.go_on.set()
        eventually(lambda: not job.thread.is_alive() or len(scored(bench)) == 40, timeout=SLOWEST)


@pytest.mark.long
def test_records_deleted_under_a_running_job_end_it_with_an_explanation(bench: Bench) -> None:
    with pytest.raises(OffsetGapError, match=r"partition 0: offsets 0 to 19 \(20\)"):
        lose_some_under_it(bench)


def test_records_deleted_under_a_running_job_are_skipped_and_all_others_scored_once(bench: Bench) -> None:
    bench.on_gap, bench.rows_per_batch = "skip", 50
    lose_some_under_it(bench)
    assert scored(bench) == sorted({*range(40, 60, 2), *range(1, 60, 2)})
    assert [record["gaps"] for record in ledger(bench, "skip")] == [{"0": [0, 20]}]
    assert skipped_records(bench) == 20


@pytest.mark.long
def test_a_topic_made_anew_stops_the_job_and_is_scored_from_its_first_record_if_asked_to(bench: Bench) -> None:
    send(bench, 0, 20)
    bench.run()
    recreate(bench)
    send(bench, 100, 104)
    with pytest.raises(TopicRecreatedError, match="scored up to 10"):
        bench.run()
    bench.on_gap = "skip"
    bench.run()
    bench.on_gap = "fail"
    send(bench, 104, 110)
    bench.run()
    assert scored(bench) == [*range(20), *range(100, 110)]
    assert [record["gaps"] for record in ledger(bench, "skip")] == [{"0": [0, 0]}, {"1": [0, 0]}]
    assert all("was scored up to 10" in record["reason"] for record in ledger(bench, "skip"))


@pytest.mark.long
def test_a_topic_made_anew_under_a_running_job_stops_it(bench: Bench) -> None:
    send(bench, 0, 20)
    bench.on_gap = "skip"

    def recreate_under_it() -> None:
        with running(bench) as job:
            eventually(lambda: len(scored(bench)) == 20)
            recreate(bench)
            send(bench, 100, 140)
            eventually(lambda: not job.thread.is_alive(), timeout=SLOWEST)

    with pytest.raises((TopicRecreatedError, ConfigurationError)):  # the latter while there is no topic at all
        recreate_under_it()
    assert scored(bench) == list(range(20))


@pytest.mark.long
def test_a_mark_that_expires_under_a_running_job_is_restored_without_an_end(bench: Bench) -> None:
    send(bench, 0, 20)
    with running(bench) as job:
        eventually(lambda: len(scored(bench)) == 20)
        forget_group(bench)
        send(bench, 20, 30)
        eventually(lambda: not job.thread.is_alive() or len(scored(bench)) == 30, timeout=SLOWEST)
    assert scored(bench) == list(range(30))


@pytest.mark.long
def test_compaction_keeps_the_newest_mark(bench: Bench) -> None:
    progress = f"{bench.topic}.progress"
    at_once = {"cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01"}
    KafkaAdmin(bench.kafka, "any").ensure_topic(progress, 1, at_once)
    with bench.leading() as footing:
        for offset in range(50):
            marks = {p: Mark.at(offset, footing.writer) for p in range(2)}
            footing.ledger.record_start(marks)

    def is_compacted() -> bool:
        producer = Producer({**bench.kafka})
        producer.produce(progress, b"{}", b"somebody/else/0")  # a segment is compacted once a later one has begun
        assert producer.flush(30) == 0
        ours = [m for m in bench.read(".progress") if m.key().startswith(bench.application.encode())]
        return len(ours) < 100

    eventually(is_compacted, timeout=60, every=1)
    assert saved_marks(bench.kafka, progress, bench.application, bench.topic) == marks
