"""Recorded events through the versions that served them, and through others: each once, in options, to the bit."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.verbs.replay.compare import Recorded, compare_with_recorded
from jobs.verbs.replay.options import ComparisonOptions
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import system_clock
from streaming.errors import ConfigurationError, DataError, FencedError
from streaming.models.served import ServedModel
from streaming.replay.chunks import cut, ends
from streaming.replay.plan import settled
from streaming.replay.run import Replay, Versions
from streaming.replay.source import RecordingSource
from streaming.scoring.pipeline import SparkPipeline
from tests.support.engine import Bench, event
from tests.support.kafka import MakeTopic
from tests.support.models import fit_pipeline, load, package, retyped
from tests.support.replays import StoppedError, Theatre, by_place, parquet_rows, topic_rows

BROKEN = [b"\xff", b"{", None, event(1, carrier="ZZ"), event(2, distance="far")]


class Thrower(SparkPipeline):
    """Throws on one distance, which no guard foresees."""

    def transform(self, frame: DataFrame) -> DataFrame:
        poison = F.when(F.col("distance") == 13.0, F.raise_error(F.lit("thirteen"))).otherwise(F.col("distance"))
        return super().transform(frame.withColumn("distance", poison.cast("double")))


@pytest.fixture(scope="module")
def versions(
    spark: SparkSession, model: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, ServedModel]:
    """The second says the opposite of the first, and throws on a distance."""
    made = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("second"), version=2)
    second = load(spark, made)
    return {1: model, 2: retyped(second, Thrower)}


@pytest.fixture(scope="module")
def theatre(
    spark: SparkSession,
    broker: str,
    make_topic: MakeTopic,
    versions: dict[int, ServedModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> Theatre:
    """A topic that two versions have served: good events, broken ones, one that throws, and an aborted one."""
    topic = make_topic("features", partitions=2, retention_ms=-1)
    bench = Bench(spark, broker, topic, tmp_path_factory.mktemp("theatre"), f"app-{topic}")
    bench.slot.swap(versions[1])
    bench.send([*(event(number) for number in range(20)), *BROKEN], 0, key=b"k", headers=[("h", None), ("h", b"")])
    bench.send((event(number) for number in range(100, 110)), 1, timestamp=1357017300000)
    bench.run()
    producer = Producer({**bench.kafka, "transactional.id": f"{bench.topic}-source"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(bench.topic, event(0), partition=1)
    assert producer.flush(30) == 0  # an abort before the record has arrived has nothing to abort
    producer.abort_transaction(30)
    bench.slot.swap(versions[2])
    bench.send((event(number) for number in range(20)), 0)
    bench.send((event(number) for number in range(110, 130)), 1)
    bench.run()
    return Theatre(bench, versions)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        pytest.param("large", 1_000, id="large chunks"),
        pytest.param("small", 18, id="small chunks", marks=pytest.mark.long),
    ],
)
def test_a_recording_replayed_as_served_is_what_was_served_to_the_bit(theatre: Theatre, name: str, rows: int) -> None:
    live = by_place(theatre.live())
    source = RecordingSource(theatre.record(theatre.bench.home / f"recording-{name}"))
    theatre.loaded.clear()
    counts = theatre.run(source, theatre.as_served(source), theatre.folder(name), rows)
    result = parquet_rows(theatre.bench.home / name)
    assert by_place(result) == live
    assert theatre.loaded == [1, 2]
    assert (counts.predictions, counts.dead_letters) == (68, 7)
    assert counts.versions == {"tiny v1": 35, "tiny v2": 40}
    assert {row["reason"] for row in result} > {None, "SCORING_FAILED", "TOMBSTONE"}
    for partition in (0, 1):
        offsets = [row["offset"] for row in result if row["partition"] == partition]
        assert offsets == sorted(offsets)


def test_a_recording_holds_the_topic_to_the_byte(theatre: Theatre) -> None:
    recording = theatre.record(theatre.bench.home / "r2")
    sent = theatre.bench.read("")
    result = [(p, *record) for p in recording.parts for record in recording.records(p)]
    assert result == [(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers()) for m in sent]
    assert result[0][-1] == [("h", None), ("h", b"")]
    assert recording.rows == 75


@pytest.mark.long
def test_a_topic_replayed_into_a_topic_is_there_once_wherever_it_was_stopped(theatre: Theatre) -> None:
    bench = theatre.bench
    live, marks = by_place(theatre.live()), KafkaAdmin(bench.kafka, bench.application).marks(bench.topic, [0, 1])
    with KafkaScan(bench.kafka, "test") as scan:
        source = theatre.topic(scan)
        segments = theatre.as_served(source)
        with pytest.raises(StoppedError):
            theatre.run(source, segments, theatre.to_topic(".again"), 16, stop_after=2)
        before = by_place(topic_rows(bench, ".again", ".again.dlq"))
        assert 0 < len(before) < len(live)
        counts = theatre.run(source, segments, theatre.to_topic(".again"), 1_000)
    assert by_place(topic_rows(bench, ".again", ".again.dlq")) == live
    assert counts.predictions + counts.dead_letters == len(live) - len(before)
    assert [m.timestamp()[1] for m in bench.read(".again")] == [m.timestamp()[1] for m in bench.read(".out")]
    assert KafkaAdmin(bench.kafka, bench.application).marks(bench.topic, [0, 1]) == marks
    assert by_place(theatre.live()) == live


@pytest.mark.long
def test_a_chosen_version_scores_everything_under_ids_of_its_own(theatre: Theatre) -> None:
    source = RecordingSource(theatre.record(theatre.bench.home / "r3"))
    place = theatre.folder("chosen")
    with pytest.raises(StoppedError):
        theatre.run(source, theatre.chosen(source, 1), place, 40, stop_after=1)
    half = place.folder / ".chunk-000001"
    half.mkdir()
    (half / "part-0.parquet").write_bytes(b"cut short")
    counts = theatre.run(source, theatre.chosen(source, 1), place, 40)
    rows = by_place(parquet_rows(place.folder))
    live = by_place(theatre.live())
    assert rows.keys() == live.keys()
    assert counts.earlier > 0
    assert counts.predictions + counts.dead_letters + counts.earlier == len(live)
    for where, row in rows.items():
        assert row["model_version"] == 1
        if row["reason"] is None and live[where]["model_version"] == 2 and live[where]["reason"] is None:
            assert row["prediction"] == 1.0 - live[where]["prediction"]
            assert row["prediction_id"] == live[where]["prediction_id"].replace("champion", "replay")


@pytest.mark.parametrize(
    "against",
    [
        pytest.param(None, id="the live job's topics"),
        pytest.param("served", id="a replay as served", marks=pytest.mark.long),
    ],
)
def test_a_candidate_is_compared_with_what_was_served(theatre: Theatre, against: str | None) -> None:
    bench = theatre.bench
    with KafkaScan(bench.kafka, "test") as scan:
        source = theatre.topic(scan)
        segments = theatre.chosen(source, 1)
        theatre.run(source, segments, theatre.folder("candidate"), 1_000)
        if against is not None:
            theatre.run(source, theatre.as_served(source), theatre.folder(against), 1_000)
        report = bench.home / "report"
        options = ComparisonOptions(report=report, against=bench.home / against if against else None)
        recorded = Recorded(bench.settings, scan)
        result = compare_with_recorded(options, bench.home / "candidate", source, segments, recorded)
    served = [row["model_version"] for row in theatre.live() if row["reason"] is None]
    assert (result.names.recorded, result.names.candidate) == ("tiny v1, v2", "tiny v1")
    assert (result.coverage.both, result.coverage.identical) == (len(served), served.count(1))
    assert result.agreement.value == served.count(1) / len(served)
    assert json.loads(result.disagreements[0].value or "")["carrier"] == "UA"
    assert "tiny v1, v2" in (report / "report.html").read_text()


def test_a_younger_run_of_a_replay_fences_an_older_one(theatre: Theatre) -> None:
    bench, place = theatre.bench, theatre.to_topic(".fenced")
    with KafkaScan(bench.kafka, "test") as scan:
        source = theatre.topic(scan)
        segments = theatre.chosen(source, 1)
        place.plan_file.parent.mkdir(exist_ok=True)
        plan = settled(place.plan_file, {"source": str(source)}, lambda: segments)
        older, left = place.open(plan, source.topic, system_clock)
        place.open(plan, source.topic, system_clock)
        loop = Replay(source.frames(bench.spark), Versions(lambda _: theatre.models[1], print), older, 10, print)
        with pytest.raises(FencedError):
            loop.run(cut(left, 1_000, [ends(left)]))
    assert topic_rows(bench, ".fenced", ".fenced.dlq") == []


@pytest.mark.long
def test_a_name_that_is_taken_by_another_replay_is_refused(theatre: Theatre) -> None:
    with KafkaScan(theatre.bench.kafka, "test") as scan:
        source = theatre.topic(scan)
        place, other = (theatre.to_topic(".named", name) for name in ("one", "other"))
        theatre.run(source, theatre.chosen(source, 1), place, 1_000)
        place.plan_file.unlink()
        with pytest.raises(ConfigurationError, match="something else was replayed"):
            theatre.run(source, theatre.as_served(source), place, 1_000)
        theatre.run(source, theatre.chosen(source, 1), other, 1_000)
    assert len(topic_rows(theatre.bench, ".named", ".named.dlq")) == 150


@pytest.mark.long
def test_what_is_not_scored_yet_has_no_version_that_served(bench: Bench, versions: dict[int, ServedModel]) -> None:
    theatre = Theatre(bench, versions)
    bench.send([event(0)])
    bench.run()
    bench.send([event(1)])
    with pytest.raises(DataError, match="are not scored yet"):
        theatre.as_served(RecordingSource(theatre.record(bench.home / "recording")))


def test_the_pace_of_a_topic_is_that_of_its_timestamps(bench: Bench) -> None:
    for second in range(5):
        bench.send([b"v"], 0, timestamp=1_000 * (second + 1))
    with KafkaScan(bench.kafka, "test") as scan:
        stretch = KafkaStretch(scan, bench.topic)
        assert [stretch.offset_at(0, at) for at in (0, 1_001, 5_000, 5_001)] == [0, 1, 4, 5]
        assert (stretch.first(0, 2), stretch.first(0, 5), stretch.first(1, 0)) == (3_000, None, None)
