"""Looked-up columns over a real broker: each batch reads the table as its plan says, also when it is tried again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from jobs.wiring.lookups import lookup_of, past_lookup, require_states, require_table
from jobs.wiring.planning import Planning
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.lookup_past import require_past
from streaming.adapters.kafka.lookup_source import KafkaTableState
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import isoformat, system_clock
from streaming.errors import ConfigurationError, DataError
from streaming.failpoints import HIT
from streaming.settings import TrainSettings
from streaming.training.dataset import load_dataset
from tests.support.engine import Bench
from tests.support.kafka import MakeTopic
from tests.support.lookups import COLUMNS, bonus_model, lookup_event, put
from tests.support.redis_server import redis_server
from tests.support.replays import Theatre, by_place, parquet_rows, topic_rows


@pytest.fixture
def table(make_topic: MakeTopic) -> str:
    return make_topic("table", partitions=2, cleanup_policy="compact")


@pytest.fixture
def looking(spark: SparkSession, broker: str, make_topic: MakeTopic, table: str, tmp_path: Path) -> Bench:
    """A bench whose version looks its column up by the record's key."""
    topic = make_topic("features", partitions=2, retention_ms=-1)
    bench = Bench(spark, broker, topic, tmp_path, f"app-{topic}")
    use(bench, topic=table, columns=COLUMNS, folder=str(tmp_path / "tables"))
    return bench


def use(bench: Bench, **lookup: Any) -> None:
    """Let the bench's job have these settings."""
    bench.lookup = {**bench.lookup, **lookup}
    joins = lookup_of(bench.settings)
    assert joins is not None
    folder = bench.home / f"version-{len(list(bench.home.iterdir()))}"
    folder.mkdir()
    bench.slot.swap(bonus_model(folder, joins))


@pytest.fixture
def armed(looking: Bench) -> Path:
    """Where failpoints of the bench's job are armed."""
    folder = looking.home / "armed"
    (folder / HIT).mkdir(parents=True)
    looking.failpoints = folder
    return folder


def answers(bench: Bench) -> list[tuple[str, float, str, bool]]:
    """Return id, prediction, what became of the lookup, and whether the answer has an age."""
    rows = []
    for message in bench.read(".out"):
        value, headers = json.loads(message.value()), dict(message.headers())
        standing = headers["penstock-lookup"].decode()
        rows.append((value["event_id"], value["prediction"], standing, "penstock-lookup-age-ms" in headers))
    return rows


def plans(bench: Bench) -> list[dict[str, Any]]:
    records = [json.loads(message.value()) for message in bench.read(".ledger")]
    return [record for record in records if record["type"] == "plan"]


@pytest.mark.long
def test_events_get_the_tables_values_as_they_are_when_their_batch_is_planned(looking: Bench, table: str) -> None:
    put(looking.servers, table, {"a": 10.0, "b": 20.0})
    looking.send([lookup_event(1)], key="a")
    looking.send([lookup_event(2)], key="b", partition=1)
    looking.send([lookup_event(3)], key="nobody", partition=1)
    looking.run()
    put(looking.servers, table, {"a": 11.0, "b": None, "nobody": 30.0})
    looking.send([lookup_event(4)], key="a")
    looking.send([lookup_event(5)], key="b")
    looking.send([lookup_event(6)], key="nobody")
    looking.run()
    assert sorted(answers(looking)) == [
        ("e1", 1_011.0, "fresh", True),
        ("e2", 1_022.0, "fresh", True),
        ("e3", 1_002.0, "missing", False),
        ("e4", 1_015.0, "fresh", True),
        ("e5", 1_004.0, "missing", False),
        ("e6", 1_036.0, "fresh", True),
    ]
    assert [sum(plan["lookup"]["ends"]) for plan in plans(looking)] == [2, 5]


@pytest.mark.parametrize("planning", ["kept", pytest.param("fresh", marks=pytest.mark.long)])
def test_a_batch_that_is_tried_again_after_kills_reads_the_table_as_at_the_first_try_and_so_does_a_replay(
    looking: Bench, table: str, armed: Path, planning: Planning
) -> None:
    looking.planning = planning
    put(looking.servers, table, {"a": 10.0, "b": 20.0})
    looking.send([lookup_event(number) for number in range(1, 6)], key="a")
    looking.send([lookup_event(number) for number in range(6, 9)], key="b", partition=1)
    # The driver dies with the batch planned; then the table moves, and a worker is killed in the middle of writing.
    (armed / "engine.planned").write_text("raise")
    with pytest.raises(StreamingQueryException):
        looking.run()
    put(looking.servers, table, {"a": 11.0, "b": None})
    (armed / "writer.produced").write_text("kill")
    looking.run()
    assert len(list((armed / HIT).iterdir())) == 2
    looking.send([lookup_event(9)], key="a")
    looking.run()
    rows = sorted(answers(looking))
    assert [row[:3] for row in rows] == [
        *((f"e{number}", 1_010.0 + number, "fresh") for number in range(1, 6)),
        *((f"e{number}", 1_020.0 + number, "fresh") for number in range(6, 9)),
        ("e9", 1_020.0, "fresh"),
    ]

    served = looking.slot.current()
    assert served is not None
    theatre = Theatre(looking, {1: served})
    live = by_place(theatre.live())
    with KafkaScan(looking.kafka, "test") as scan:
        segments = theatre.as_served(theatre.topic(scan))
        require_states(looking.settings, segments)
        theatre.run(theatre.topic(scan), segments, theatre.folder("again"), 100)
        theatre.run(theatre.topic(scan), segments, theatre.to_topic(".again"), 100)
    assert by_place(parquet_rows(looking.home / "again")) == live
    assert by_place(topic_rows(looking, ".again", ".again.dlq")) == live


@pytest.mark.long
def test_a_batch_that_was_planned_before_the_job_looked_anything_up_is_planned_again_with_a_state(
    looking: Bench, table: str, armed: Path
) -> None:
    put(looking.servers, table, {"a": 10.0})
    lookup, looking.lookup = looking.lookup, {}
    (armed / "engine.planned").write_text("raise")
    looking.send([lookup_event(1)], key="a")
    with pytest.raises(StreamingQueryException):
        looking.run()
    looking.lookup = lookup
    looking.run()
    assert [row[:3] for row in answers(looking)] == [("e1", 1_011.0, "fresh")]
    assert [plan.get("lookup", {}).get("ends") is not None for plan in plans(looking)] == [False, True]


@pytest.mark.long
def test_a_table_that_is_gone_leaves_the_last_state_for_a_while_and_then_marked_defaults(
    looking: Bench, table: str
) -> None:
    put(looking.servers, table, {"a": 10.0})
    looking.send([lookup_event(1)], key="a")
    looking.run()
    admin = AdminClient({**looking.kafka})
    admin.delete_topics([table])[table].result(30)
    use(looking, unavailable_after_seconds=0.1)
    looking.send([lookup_event(2)], key="a")
    looking.run()
    assert [row[:3] for row in answers(looking)] == [("e1", 1_011.0, "fresh"), ("e2", 1_001.0, "unavailable")]
    assert table in plans(looking)[-1]["lookup"]["outage"]
    (_, report) = looking.seen.reports
    assert report.outcome.lookups["unavailable"] == 1


@pytest.mark.long
def test_a_worker_that_cannot_keep_the_table_has_the_batch_planned_again_without_it(looking: Bench, table: str) -> None:
    put(looking.servers, table, {f"key-{number}": 1.0 for number in range(3_000)})
    use(looking, max_bytes=1 << 15, unavailable_after_seconds=0.1)
    looking.send([lookup_event(1)], key="key-1")
    looking.run()
    assert [row[:3] for row in answers(looking)] == [("e1", 1_000.0, "unavailable")]
    assert "lookup.max_bytes" in plans(looking)[-1]["lookup"]["outage"]
    assert len(plans(looking)) == 2


@pytest.mark.long
def test_an_event_on_which_the_model_throws_is_one_dead_letter_and_no_other_notices(looking: Bench, table: str) -> None:
    put(looking.servers, table, {"a": 10.0})
    use(looking, missing="dead_letter")
    looking.send([lookup_event(1), lookup_event(2, x=...), b"{"], key="a")
    looking.send([lookup_event(3)], key="nobody", partition=1)
    looking.run()
    assert [row[:2] for row in answers(looking)] == [("e1", 1_011.0)]
    reasons = {dict(message.headers())["penstock-reason"].decode() for message in looking.read(".dlq")}
    assert reasons == {"MISSING_FIELD", "MALFORMED_JSON", "MISSING_LOOKUP"}


@pytest.mark.long
def test_columns_from_redis_are_marked_defaults_while_it_is_down_and_its_values_again_when_it_is_back(
    looking: Bench, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as redis:
        written = {"updated_at": isoformat(system_clock())}
        use(looking, topic=None, redis={"url": redis.url, "cache_seconds": 0}, unavailable_after_seconds=0.1)
        redis.put({"a": {"bonus": 10.0, **written}})
        looking.send([lookup_event(1)], key="a")
        looking.send([lookup_event(2)], key="nobody", partition=1)
        looking.run()
        redis.stop()
        looking.send([lookup_event(3)], key="a")
        looking.run()
        redis.start()
        redis.put({"a": {"bonus": 11.0, **written}})
        looking.send([lookup_event(4)], key="a")
        looking.run()
    assert sorted(answers(looking)) == [
        ("e1", 1_011.0, "fresh", True),
        ("e2", 1_001.0, "missing", False),
        ("e3", 1_002.0, "unavailable", False),
        ("e4", 1_015.0, "fresh", True),
    ]
    states = [plan["lookup"] for plan in plans(looking)]
    assert [state.get("store") for state in states] == ["redis", None, "redis"]
    assert redis.url in states[1]["outage"]


@pytest.mark.long
def test_a_batch_that_was_planned_by_the_topic_is_planned_again_by_redis_and_no_replay_is_possible(
    looking: Bench, table: str, armed: Path, tmp_path: Path
) -> None:
    put(looking.servers, table, {"a": 10.0})
    (armed / "engine.planned").write_text("raise")
    looking.send([lookup_event(1)], key="a")
    with pytest.raises(StreamingQueryException):
        looking.run()
    with redis_server(tmp_path) as redis:
        use(looking, topic=None, redis={"url": redis.url})
        redis.put({"a": {"bonus": 20.0, "updated_at": isoformat(system_clock())}})
        # A worker is killed in the middle of writing; the next try asks Redis once more.
        (armed / "writer.produced").write_text("kill")
        looking.run()
    assert [row[:3] for row in answers(looking)] == [("e1", 1_021.0, "fresh")]
    assert [plan["lookup"].get("store") for plan in plans(looking)] == [None, "redis"]
    served = looking.slot.current()
    assert served is not None
    theatre = Theatre(looking, {1: served})
    with KafkaScan(looking.kafka, "test") as scan, pytest.raises(DataError, match="redis, which keeps no history"):
        require_states(looking.settings, theatre.as_served(theatre.topic(scan)))


def test_a_replay_is_refused_where_the_tables_topic_was_made_anew(looking: Bench, table: str) -> None:
    put(looking.servers, table, {"a": 1.0, "b": 2.0}, partition=0)
    before = KafkaTableState(looking.kafka, table)()
    put(looking.servers, table, {"a": 3.0}, partition=0)
    require_past(looking.kafka, table, before, now_ms=1)
    with pytest.raises(DataError, match="made anew"):
        require_past(looking.kafka, table, replace(before, topic_id="other"), now_ms=1)


def test_a_topic_that_is_no_table_is_refused_before_anything_starts(looking: Bench, make_topic: MakeTopic) -> None:
    admin = KafkaAdmin(looking.kafka, "test")
    require_table(looking.settings, admin)
    looking.lookup |= {"topic": make_topic("plain", partitions=1)}
    with pytest.raises(ConfigurationError, match=r"not compacted.*cleanup\.policy"):
        require_table(looking.settings, admin)
    looking.lookup |= {"topic": "nowhere-at-all"}
    with pytest.raises(ConfigurationError, match=r"no topic 'nowhere-at-all'.*lookup\.topic"):
        require_table(looking.settings, admin)


def test_a_training_set_has_the_tables_values_as_of_each_rows_time(
    looking: Bench, table: str, spark: SparkSession, tmp_path: Path
) -> None:
    day = 86_400_000
    put(looking.servers, table, {"a": 1.0}, timestamp=day)
    put(looking.servers, table, {"a": 2.0}, timestamp=3 * day)
    put(looking.servers, table, {"a": None}, timestamp=5 * day)
    rows = [("a", 0, 1.0), ("a", 1, 2.0), ("a", 2, 3.0), ("a", 4, 4.0), ("a", 6, 5.0), ("b", 4, 6.0), (None, 4, 7.0)]
    frame = spark.createDataFrame(rows, "key string, day int, x double").selectExpr(
        "key", "timestamp_seconds(day * 86400) AS event_time", "x", "x > 3 AS late"
    )
    frame.write.parquet(str(tmp_path / "rows"))
    train = {"data": str(tmp_path / "rows"), "numeric": ("x", "bonus")}
    settings = looking.settings.model_copy(update={"train": TrainSettings.model_validate(train)})
    dataset = load_dataset(spark, settings.train, past_lookup(settings))
    bonuses = {row.x: row.bonus for row in dataset.frame.select("x", "bonus").collect()}
    assert bonuses == {1.0: -1.0, 2.0: 1.0, 3.0: 1.0, 4.0: 2.0, 5.0: -1.0, 6.0: -1.0, 7.0: -1.0}
    assert [column.name for column in dataset.signature.columns] == ["x", "bonus"]
