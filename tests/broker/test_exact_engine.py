"""The exact engine over a real broker: every input offset ends in exactly one prediction or one dead letter."""

from __future__ import annotations

import gc
import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)
from py4j.java_gateway import JavaObject
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.wiring.topics import prepare_topics
from schemas.dead_letter import ORIGINAL_TIMESTAMP
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.dead_letters import KafkaDeadLetters
from streaming.adapters.kafka.output_topics import concerns
from streaming.adapters.kafka.outputs import KafkaOutputs
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import isoformat, moment
from streaming.delivery.marks import Mark
from streaming.engines.report import BatchReport
from streaming.errors import ConfigurationError, PenstockError, ScoringError
from streaming.ledger.lineage import Position
from streaming.lookup_state import LookupState
from streaming.models.seams import ArrowScorer
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.outputs.dead_letters import Selection
from streaming.outputs.targets import NO_BOUND, Targets
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.row_pass import JsonRowPass
from streaming.scoring_time import ScoringTime
from streaming.spark import query_run
from tests.support.engine import Bench, Recorder, event
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.models import renumbered, retyped
from tests.support.serving import serving


@pytest.mark.parametrize("either_bench", ["kept, compiled", "fresh, by Spark"], indirect=True)
def test_every_event_becomes_one_prediction_in_its_partition_and_order(either_bench: Bench) -> None:
    for partition in (0, 1):
        either_bench.send([event(i + 100 * partition) for i in range(50)], partition, key=b"k", timestamp=1357017300000)
    either_bench.run()
    actual = either_bench.read(".out")
    assert [json.loads(m.value())["event_id"] for m in actual] == [f"e{i}" for i in range(50)] + [
        f"e{i + 100}" for i in range(50)
    ]
    assert {m.key() for m in actual} == {b"k"}
    assert {m.timestamp()[1] for m in actual} == {1357017300000}
    assert either_bench.read(".dlq") == []


@pytest.mark.long
def test_batches_of_one_partition_and_of_several_read_what_they_were_planned_for(bench: Bench) -> None:
    bench.rows_per_batch = 10
    for sent in ({1: range(4)}, {0: range(4, 27)}, {0: range(27, 39), 1: range(39, 54)}):
        for partition, numbers in sent.items():
            bench.send((event(i) for i in numbers), partition)
        bench.run()
    assert sorted(int(p["event_id"][1:]) for p in bench.predictions()) == list(range(54))
    tasks = [sum(part.end > part.start for part in report.ranges.values()) for report in bench.seen.reports]
    assert (set(tasks[:4]), set(tasks[4:])) == ({1}, {2}), "as many as partitions that had records"
    rows = [report.rows_in for report in bench.seen.reports]
    eventually(lambda: [progress.rows for progress in bench.seen.progress] == rows)


@pytest.mark.long
def test_batches_begin_small_and_grow_without_a_new_query_at_each_start(bench: Bench) -> None:
    bench.rows_per_batch = 4_000
    for start in range(2):
        bench.send((event(i) for i in range(9_000 * start, 9_000 * (start + 1))), partition=start)
        bench.run()
    assert [report.rows_in for report in bench.seen.reports] == [1_000, 4_000, 4_000] * 2
    assert sorted(int(p["event_id"][1:]) for p in bench.predictions()) == list(range(18_000))


@pytest.mark.long
def test_tasks_that_are_told_each_others_partition_write_nothing_and_a_restart_puts_it_right(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for partition in (0, 1):
        bench.send((event(2 * i + partition) for i in range(10)), partition)
    truth = query_run._sources
    with monkeypatch.context() as patch:
        patch.setattr(query_run, "_sources", lambda partitions: truth(partitions)[::-1])
        with pytest.raises(ScoringError, match="holds the partitions 0, 1"):
            bench.run()
    assert bench.predictions() == []
    bench.run()
    assert sorted(int(p["event_id"][1:]) for p in bench.predictions()) == list(range(20))


@pytest.mark.long
def test_a_restart_scores_only_what_is_new(bench: Bench) -> None:
    bench.send(event(i) for i in range(10))
    bench.run()
    bench.send(event(i) for i in range(10, 15))
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == [f"e{i}" for i in range(15)]


def test_broken_records_are_dead_letters_with_their_bytes_untouched(either_bench: Bench) -> None:
    broken = [b"\xff\xfe", b"{", event(1, carrier="ZZ"), event(2, distance=...), event(3, distance="far"), None]
    either_bench.send([event(0), *broken], key=b"k", headers=[("h", b"1"), ("h", b"2")], timestamp=5)
    either_bench.run()
    assert len(either_bench.predictions()) == 1
    letters = either_bench.read(".dlq")
    assert [m.value() for m in letters] == broken
    assert {m.key() for m in letters} == {b"k"}
    assert all(m.headers()[:2] == [("h", b"1"), ("h", b"2")] for m in letters)
    reasons = [dict(m.headers())["penstock-reason"].decode() for m in letters]
    assert reasons == [
        "INVALID_UTF8",
        "MALFORMED_JSON",
        "UNSEEN_CATEGORY",
        "MISSING_FIELD",
        "WRONG_TYPE",
        "TOMBSTONE",
    ]


@pytest.mark.long
def test_an_event_whose_prediction_is_too_large_for_its_topic_is_kept_as_a_dead_letter(bench: Bench) -> None:
    admin = KafkaAdmin(bench.kafka, "any")
    admin.ensure_topic(f"{bench.topic}.out", 2, {"retention.ms": "-1", "max.message.bytes": "20000"})
    large = event(1, event_id="x" * 18_000)
    bench.send([event(0), large, event(2)], headers=[("h", b"1")])
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == ["e0", "e2"]
    (letter,) = bench.read(".dlq")
    assert letter.value() == large
    assert dict(letter.headers())["penstock-reason"] == b"PREDICTION_TOO_LARGE"
    assert letter.headers()[0] == ("h", b"1")


HOUR = 3_600_000


@pytest.mark.long
@pytest.mark.parametrize("bound", ["message.timestamp.after.max.ms", "message.timestamp.before.max.ms"])
@pytest.mark.parametrize("made_by", ["Penstock", "their owner"])
def test_an_event_whose_timestamp_is_far_from_now_stops_nothing(
    bench: Bench, make_topic: MakeTopic, bound: str, made_by: str
) -> None:
    bench.topic = make_topic(partitions=2, retention_ms=-1, message_timestamp_after_max_ms=NO_BOUND)
    admin = KafkaAdmin(bench.kafka, "any")
    if made_by == "their owner":
        for suffix in (".out", ".dlq"):
            admin.ensure_topic(bench.topic + suffix, 2, {"retention.ms": "-1", bound: str(HOUR)})
    now = int(time.time() * 1000)
    far = now + 2 * HOUR if "after" in bound else now - 2 * HOUR
    for timestamp in (now, far):
        bench.send([event(timestamp), b"{"], key=b"k", timestamp=timestamp)
    bench.run()
    assert sorted(p["event_id"] for p in bench.predictions()) == sorted(f"e{at}" for at in (now, far))
    for first, second in (bench.read(".out"), bench.read(".dlq")):
        assert first.timestamp()[1] == now
        original = dict(second.headers()).get(ORIGINAL_TIMESTAMP)
        if made_by == "Penstock":
            assert (second.timestamp()[1], original) == (far, None)
        else:
            assert abs(second.timestamp()[1] - now) < 60_000
            assert original == str(far).encode()
    letters = KafkaDeadLetters(bench.kafka, bench.application, admin.required_topic(f"{bench.topic}.dlq"))
    assert [letter.timestamp for letter in letters.read(Selection())] == [now, far], "what a replay goes by"
    with KafkaScan(bench.kafka, bench.application) as scan:
        outputs = KafkaOutputs(scan, [f"{bench.topic}.out", f"{bench.topic}.dlq"], bench.application)
        position = Position(bench.topic, "", partition=0, offset=2)
        output = outputs.of(position, isoformat(moment(now / 1000 - 60)), lambda *_: None)
    assert output is not None, "what the ledger's reader goes by"
    assert output.event_id("event_id") == f"e{far}"


@pytest.mark.long
def test_an_event_without_a_key_is_a_dead_letter_where_predictions_are_compacted(bench: Bench) -> None:
    compacted = {"cleanup.policy": "compact,delete"}
    KafkaAdmin(bench.kafka, "any").ensure_topic(f"{bench.topic}.out", 2, compacted)
    bench.send([event(0)], key=b"k")
    bench.send([event(1)], headers=[("own", b"1")])
    bench.send([event(2)], key=b"k")
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == ["e0", "e2"]
    (letter,) = bench.read(".dlq")
    assert (letter.key(), letter.value(), letter.headers()[0]) == (None, event(1), ("own", b"1"))
    assert dict(letter.headers())["penstock-reason"] == b"NO_KEY"


@pytest.mark.long
def test_many_small_records_do_not_make_a_batch_that_a_topic_with_a_small_limit_refuses(bench: Bench) -> None:
    for suffix, limit in ((".out", "20000"), (".dlq", "17000")):
        KafkaAdmin(bench.kafka, "any").ensure_topic(bench.topic + suffix, 2, {"max.message.bytes": limit})
    bench.send([event(number) for number in range(300)] + [b"{" * 100] * 300, key=b"k")
    bench.run()
    assert len(bench.predictions()) == len(bench.read(".dlq")) == 300


@pytest.mark.parametrize(
    ("suffix", "config", "message"),
    [
        pytest.param(".dlq", {"cleanup.policy": "compact"}, "output.dead_letters", id="dead letters are compacted"),
        pytest.param(".dlq", {"cleanup.policy": "compact,delete"}, "output.dead_letters", id="and deleted"),
        pytest.param(".dlq", {"max.message.bytes": "4000"}, r"4,000 bytes", id="dead letters have no room for headers"),
        pytest.param(".ledger", {"cleanup.policy": "compact"}, "output.ledger", id="the ledger is compacted"),
    ],
)
def test_an_output_topic_that_would_lose_records_is_refused_before_anything_starts(
    bench: Bench, suffix: str, config: dict[str, str], message: str
) -> None:
    admin = KafkaAdmin(bench.kafka, "any")
    admin.ensure_topic(bench.topic + suffix, 1, config)
    with pytest.raises(ConfigurationError, match=f"'{bench.topic}{suffix}'.*{message}"):
        prepare_topics(bench.settings, admin)


def test_what_an_output_topic_does_not_take_is_said_at_the_start(bench: Bench) -> None:
    admin = KafkaAdmin(bench.kafka, "any")
    assert concerns(*_topics(bench, admin), timed=True) == []
    narrow = {"cleanup.policy": "compact", "message.timestamp.after.max.ms": "1000"}
    client = AdminClient({**bench.kafka})
    for suffix, config in ((".out", narrow), (".dlq", {"max.message.bytes": "100000"})):
        changes = [ConfigEntry(*pair, incremental_operation=AlterConfigOpType.SET) for pair in config.items()]
        resource = ConfigResource(ResourceType.TOPIC, bench.topic + suffix, incremental_configs=changes)
        client.incremental_alter_configs([resource])[resource].result(10)
    timestamps, compacted, large = concerns(*_topics(bench, admin), timed=True)
    assert f"{bench.topic}.out" in timestamps
    assert "(message.timestamp.after.max.ms)" in timestamps
    assert "NO_KEY" in compacted
    assert f"{bench.topic}.dlq" in large
    assert "100,000" in large
    assert concerns(*_topics(bench, admin), timed=False) == [compacted, large]


def _topics(bench: Bench, admin: KafkaAdmin) -> tuple[TopicInfo, Targets]:
    topics = prepare_topics(bench.settings, admin)
    return topics.source, topics.targets


@pytest.mark.long
def test_a_lost_checkpoint_neither_loses_nor_repeats(bench: Bench, tmp_path: Path) -> None:
    bench.send(event(i) for i in range(10))
    bench.run()
    bench.home = tmp_path / "another"
    bench.send(event(i) for i in range(10, 15))
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == [f"e{i}" for i in range(15)]


@pytest.mark.long
def test_a_large_partition_is_cut_into_transactions_that_together_are_complete(bench: Bench) -> None:
    bench.max_bytes = 1
    bench.spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "7")
    bench.send(event(i) for i in range(50))
    try:
        bench.run()
    finally:
        bench.spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
    assert [p["event_id"] for p in bench.predictions()] == [f"e{i}" for i in range(50)]
    assert bench.seen.reports[0].outcome.transactions == 8


def test_a_batch_that_is_done_again_skips_what_was_written_and_keeps_its_version(
    either_bench: Bench, model: ServedModel
) -> None:
    either_bench.send(event(i) for i in range(10))
    either_bench.run()
    forget_commit(either_bench, 0)
    either_bench.slot.swap(renumbered(model, 2))
    either_bench.planned[model.key] = model
    either_bench.send(event(i) for i in range(10, 12))
    either_bench.run()
    assert Counter(p["event_id"] for p in either_bench.predictions()) == Counter(f"e{i}" for i in range(12))
    assert [p["model_version"] for p in either_bench.predictions()] == [1] * 10 + [2] * 2
    again = either_bench.seen.reports[1]
    assert (again.outcome.skipped, again.outcome.predictions, again.version.version) == (10, 0, 1)


def test_a_model_that_fails_on_a_batch_gives_way_to_the_last_good_one(either_bench: Bench, model: ServedModel) -> None:
    either_bench.send(event(i) for i in range(5))
    either_bench.run()
    either_bench.slot.swap(renumbered(retyped(model, Thrower), 2))
    either_bench.send(event(i) for i in range(5, 25))
    either_bench.run()
    assert [p["event_id"] for p in either_bench.predictions()] == [f"e{i}" for i in range(25)]
    assert {p["model_version"] for p in either_bench.predictions()} == {1}
    assert len(either_bench.seen.failures) == len(either_bench.seen.searches) == 1, "another search would find the same"
    assert either_bench.slot.held == {replace(model.key, version=2)}


def test_a_swap_while_the_query_runs_neither_loses_nor_repeats(either_bench: Bench, model: ServedModel) -> None:
    with serving(either_bench) as job:
        for version in (1, 2):
            either_bench.slot.swap(renumbered(model, version))
            either_bench.send(event(10 * version + i) for i in range(10))
            eventually(partial(_has_answered, either_bench, 10 * version), timeout=SLOWEST)
    assert job.failed == []
    answers = [(p["event_id"], p["model_version"]) for p in either_bench.predictions()]
    assert answers == [(f"e{10 * version + i}", version) for version in (1, 2) for i in range(10)]
    assert either_bench.read(".dlq") == []


def _has_answered(bench: Bench, events: int) -> bool:
    return len(bench.read(".out")) == events


@pytest.mark.long
def test_without_a_good_version_the_job_stops_with_the_pipelines_own_words_after_one_search(
    bench: Bench, model: ServedModel
) -> None:
    bench.planned[model.key] = retyped(model, Thrower)
    bench.slot = Slot()
    bench.slot.swap(bench.planned[model.key])
    bench.send(event(i) for i in range(20))
    words = r"no good version is left: tiny v1 throws on more than 10 rows .*no such file"
    with pytest.raises(ScoringError, match=words):
        bench.run()
    assert len(bench.seen.searches) == 1
    assert bench.predictions() == []
    bench.slot.swap(renumbered(model, 2))
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == [f"e{i}" for i in range(20)]


@pytest.mark.long
def test_a_compiled_form_that_fails_where_spark_does_not_costs_three_searches_and_no_answer(
    bench: Bench, model: ServedModel
) -> None:
    # Here, so that it is pickled whole: workers do not import this module.
    class Failing:
        others = ()

        def score(self, _: pa.RecordBatch, at: LookupState | None = None) -> pa.RecordBatch:
            raise ScoringError("only the compiled form throws this")

        def counts(self) -> dict[str, float]:
            return {}

        def times(self) -> dict[int, ScoringTime]:
            return {}

        def over(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:
            return records

        def of_decoded(self, events: DataFrame) -> DataFrame:
            return events

    bench.slot.swap(renumbered(replace(model, row_pass=Failing()), 2))
    bench.rows_per_batch = 1
    bench.send(event(i) for i in range(5))
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == [f"e{i}" for i in range(5)]
    assert len(bench.seen.reports) == 5
    assert len(bench.seen.searches) == 3
    assert bench.seen.failures == []


@pytest.mark.parametrize(
    "is_right", [pytest.param(True, id="right", marks=pytest.mark.long), pytest.param(False, id="wrong")]
)
def test_a_sample_of_the_events_is_scored_once_more_by_spark(bench: Bench, model: ServedModel, is_right: bool) -> None:
    # Here, so that it is pickled whole: workers do not import this module.
    @dataclass(frozen=True)
    class Turned:
        scorer: ArrowScorer

        def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
            answers = self.scorer.score(events)
            return answers.set_column(0, answers.schema.field(0), pc.subtract(1.0, answers.column(0)))

    assert isinstance(model.row_pass, JsonRowPass)
    if not is_right:
        model = replace(model, row_pass=replace(model.row_pass, scorer=Turned(model.row_pass.scorer)))
    bench.slot.swap(renumbered(model, 2))
    bench.recheck_one_in = 1
    bench.send([*(event(i) for i in range(5)), b"{"])

    with serving(bench) as job:
        eventually(lambda: sum(rechecked(bench)) == 6, timeout=SLOWEST)
        notes = job.health.ready().notes

    # A rejected event has no answer that could be wrong.
    assert rechecked(bench) == ([6, 0] if is_right else [1, 5])
    assert notes == (() if is_right else (RECHECK_NOTE,))
    assert job.failed == []
    assert len(bench.predictions()) == 5


RECHECK_NOTE = "tiny v2 answers otherwise than Spark's pipeline on sampled events; set model.scorer to spark"


def rechecked(bench: Bench) -> list[float]:
    """Return how many events were the same by both forms, and how many not."""
    read = bench.metrics.registry.get_sample_value
    return [read("penstock_rechecked_events_total", {"result": result}) or 0.0 for result in ("equal", "different")]


@dataclass(frozen=True)
class Thrower(SparkPipeline):
    """A real pipeline that cannot be run: every row fails, as with a model whose files are not what they seem."""

    def transform(self, frame: DataFrame) -> DataFrame:
        return super().transform(frame.withColumn("distance", F.raise_error(F.lit("no such file")).cast("double")))

    def release(self) -> None:
        """The tests share the model."""


def commit(bench: Bench, offset: int, metadata: str) -> None:
    consumer = Consumer({**bench.kafka, "group.id": bench.application})
    consumer.commit(offsets=[TopicPartition(bench.topic, 0, offset, metadata)], asynchronous=False)
    consumer.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"offset": 7}, "offsets 7 to 9 would never be scored", id="a mark was moved back"),
        pytest.param(
            {"epoch": 99}, "lease epoch 99 has taken over", id="a younger driver wrote", marks=pytest.mark.long
        ),
        pytest.param(
            {"topic_id": "other"},
            "earlier topic of the same name",
            id="the topic was made anew",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"application": "other"},
            "no committed mark of this application",
            id="a stranger's mark",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_mark_that_does_not_fit_stops_the_job_before_anything_is_written(
    bench: Bench, change: dict[str, Any], message: str
) -> None:
    bench.send(event(i) for i in range(10))
    bench.run()
    topic_id = KafkaAdmin(bench.kafka, "any").required_topic(bench.topic).id
    mark = replace(Mark(10, bench.application, topic_id, 1), **change)
    commit(bench, mark.offset, mark.metadata)
    bench.send(event(i) for i in range(10, 15))
    with pytest.raises(PenstockError, match=message):
        bench.run()
    assert len(bench.predictions()) == 10


@pytest.mark.long
def test_predictions_of_aborted_transactions_and_gaps_in_offsets_do_no_harm(bench: Bench) -> None:
    producer = Producer({**bench.kafka, "transactional.id": f"{bench.topic}-source"})
    producer.init_transactions(30)
    for number, keep in enumerate([True, False, True]):
        producer.begin_transaction()
        producer.produce(bench.topic, event(number), partition=0)
        assert producer.flush(30) == 0  # an abort before the record has arrived has nothing to abort
        producer.commit_transaction(30) if keep else producer.abort_transaction(30)
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == ["e0", "e2"]
    bench.send([event(3)])
    bench.run()
    assert [p["event_id"] for p in bench.predictions()] == ["e0", "e2", "e3"]


def forget_commit(bench: Bench, batch: int) -> None:
    """As after a crash between the output and Spark's own commit log."""
    commits = bench.home / "checkpoint/commits"
    (commits / str(batch)).unlink()
    (commits / f".{batch}.crc").unlink(missing_ok=True)  # Spark's default way of writing leaves a checksum beside it


@pytest.mark.long
def test_a_partition_that_was_added_is_scored_once_even_if_its_first_batch_is_done_again(bench: Bench) -> None:
    bench.send([event(0)])
    bench.run()
    admin = AdminClient({**bench.kafka})
    admin.create_partitions([NewPartitions(bench.topic, 3)])[bench.topic].result(10)
    eventually(lambda: KafkaAdmin(bench.kafka, "any").required_topic(bench.topic).partitions == 3)
    bench.send((event(i) for i in range(1, 6)), partition=2)
    bench.run()
    forget_commit(bench, 1)
    bench.run()
    assert sorted(p["event_id"] for p in bench.predictions()) == [f"e{i}" for i in range(6)]
    assert bench.seen.reports[-1].outcome.skipped == 5


class ProxyCounter(Recorder):
    """Counts the JVM's objects that Python holds when a batch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.proxies: list[int] = []

    def batch_finished(self, report: BatchReport) -> None:
        super().batch_finished(report)
        self.proxies.append(sum(isinstance(live, JavaObject) for live in gc.get_objects()))


@pytest.mark.long
def test_batches_do_not_pile_up_in_the_jvm(bench: Bench) -> None:
    bench.seen = counter = ProxyCounter()
    bench.rows_per_batch = 10
    bench.send(event(i) for i in range(60))
    gc.disable()
    try:
        bench.run()
    finally:
        gc.enable()
    second, *_, last = counter.proxies[1:]
    assert len(counter.proxies) == 6
    assert last <= second + 10
