"""The transactional writer against a real broker: whatever step an attempt fails at, the next one makes it whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import KafkaException, Producer

from schemas.prediction import SOURCE_OFFSET
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.claim import Claim
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.ledger import KafkaLedger, LedgerTopics
from streaming.adapters.kafka.marks import MarkStore
from streaming.clock import system_clock
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.outcome import Outcome
from streaming.delivery.producers import Identity, open_producer, spares
from streaming.delivery.write_order import Limits, WritePlan
from streaming.delivery.writer import write_partition
from streaming.failpoints import HIT, WRITER, Failpoints
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Targets
from tests.support.kafka import MakeTopic
from tests.support.seeds import names_with_seeds
from tests.support.subscribers import confluent
from tests.support.written import batch, row

ROWS = 20
CHUNK = 5


@dataclass
class Site:
    """One partition of one application, with a first mark at 0."""

    servers: str
    order: WritePlan
    folder: Path

    def attempt(self, plan: str, *, fails_at: str | None = None) -> Outcome:
        """Write all rows as one task of a batch decided by ``plan``; raises ``RuntimeError`` at a failpoint."""
        if fails_at:
            (self.folder / f"writer.{fails_at}").write_text("raise")
        rows = (batch(*(row(o, partition=0) for o in range(at, at + CHUNK))) for at in range(0, ROWS, CHUNK))
        results = list(write_partition(replace(self.order, plan=plan), rows))
        return Outcome.from_json(results[0].column("outcome")[0].as_py())

    def offsets(self) -> list[int]:
        result = confluent(self.servers, self.order.targets.predictions.topic)
        return [int(record.headers[SOURCE_OFFSET]) for record in result]


@pytest.fixture
def site(broker: str, make_topic: MakeTopic, tmp_path: Path) -> Site:
    kafka = {"bootstrap.servers": broker}
    source = make_topic("features", partitions=1, retention_ms=-1)
    topics = [make_topic(name, partitions=1, retention_ms=-1) for name in ("out", "dlq", "progress", "ledger")]
    admin = KafkaAdmin(kafka, source)
    targets = Targets(*(admin.target(admin.required_topic(name)) for name in topics[:3]))
    ledger = KafkaLedger(kafka, LedgerTopics(topics[3], targets.progress), source, source, system_clock)
    writer = Writer(source, source, admin.required_topic(source).id, ledger.open())
    ledger.record_start({0: Mark.at(0, writer)})
    stamp = Stamp(source, ModelVersion("flights", 4, "run4"), "champion", "2026-01-01T00:00:00.000Z")
    ranges = {0: OffsetRange(0, ROWS)}
    (tmp_path / HIT).mkdir()
    # Every chunk is a transaction of its own: its bound in bytes is less than what it holds.
    limits = Limits(1, 60_000)
    failpoints = Failpoints(str(tmp_path))
    order = WritePlan(client_config(kafka), writer, "1.1", stamp, ranges, targets, limits, failpoints)
    return Site(broker, order, tmp_path)


@pytest.mark.parametrize("step", names_with_seeds(WRITER, ["offsets_sent", "committed"]))
def test_an_attempt_that_fails_after_a_step_is_made_whole_by_the_next(site: Site, step: str) -> None:
    with pytest.raises(RuntimeError, match=step):
        site.attempt("1.1", fails_at=step)
    outcome = site.attempt("1.1")
    assert site.offsets() == list(range(ROWS))
    assert outcome.rows == ROWS
    assert outcome.skipped == (CHUNK if step == "committed" else 0)
    assert outcome.segments == {"1.1": (0, ROWS)}


def test_a_later_plan_says_which_offsets_an_earlier_one_wrote(site: Site) -> None:
    with pytest.raises(RuntimeError):
        site.attempt("1.1", fails_at="committed")
    assert site.attempt("1.2").segments == {"1.1": (0, CHUNK), "1.2": (CHUNK, ROWS)}
    assert site.attempt("1.3").segments == {"1.2": (CHUNK, ROWS)}, "all was written; the mark knows the last plan"
    assert site.offsets() == list(range(ROWS))


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([batch(row(0, partition=0), row(0, partition=1))], id="in one batch"),
        pytest.param([batch(row(0, partition=0)), batch(row(0, partition=1))], id="one after the other"),
    ],
)
def test_a_task_that_holds_two_partitions_mixes_nothing(site: Site, batches: list[pa.RecordBatch]) -> None:
    whole = replace(site.order, limits=Limits(1 << 20, 60_000))
    with pytest.raises(RuntimeError, match="holds the partitions 0, 1"):
        list(write_partition(whole, iter(batches)))
    assert site.offsets() == []


def test_rows_that_the_batch_was_not_planned_for_are_not_written(site: Site) -> None:
    (reported,) = write_partition(site.order, iter([batch(row(ROWS, partition=0))]))
    assert reported.to_pylist()[0]["outcome"].count("InvariantError") == 1
    assert site.offsets() == []


@dataclass(frozen=True)
class TakenOver(Failpoints):
    """Lets a younger driver claim the partition at one step of an older one's task."""

    step: str = ""
    claim: Claim | None = None

    def reach(self, name: str) -> None:
        if name == f"writer.{self.step}" and self.claim is not None:
            self.claim.partitions([0])


@pytest.mark.parametrize("step", names_with_seeds(WRITER, ["produced", "committed"]))
def test_a_task_that_sleeps_through_a_takeover_commits_nothing_after_it(site: Site, step: str) -> None:
    old = site.order
    younger = replace(old.writer, epoch=old.writer.epoch + 1)
    claim = Claim(MarkStore(old.client, younger, old.limits))
    site.order = replace(old, failpoints=TakenOver(step=step, claim=claim))
    assert site.attempt("1.1").error == "FencedError"
    before = CHUNK if step == "committed" else 0
    assert site.offsets() == list(range(before))
    site.order = replace(old, writer=younger)
    assert site.attempt("2.1").skipped == before
    assert site.offsets() == list(range(ROWS))


def test_a_task_of_an_older_driver_writes_nothing_once_a_younger_one_has(site: Site) -> None:
    old = site.order
    site.order = replace(old, writer=replace(old.writer, epoch=old.writer.epoch + 1))
    site.attempt("2.1")
    site.order = replace(old, ranges={0: OffsetRange(0, 2 * ROWS)})
    assert site.attempt("1.1").error == "FencedError"
    assert site.offsets() == list(range(ROWS))


def test_a_producer_in_reserve_takes_the_id_when_it_is_used_and_not_before(site: Site) -> None:
    site.attempt("1.1")
    order = site.order
    identity = Identity.of(order.client, order.writer, order.limits, 0)
    reserve = spares().take(identity)
    assert reserve is not None

    other = open_producer(identity)
    write_to(other, order.targets.progress.topic)
    reserve.init_transactions(10.0)
    with pytest.raises(KafkaException, match=r"fenced|newer"):
        write_to(other, order.targets.progress.topic)


def write_to(producer: Producer, topic: str) -> None:
    producer.begin_transaction()
    producer.produce(topic, b"", b"key")
    producer.flush(10.0)
    producer.commit_transaction(10.0)
