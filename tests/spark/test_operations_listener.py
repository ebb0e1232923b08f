"""Spark's own events, from a real query, in our terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from streaming.operations.listener import EventListener, ProgressListener, lag_of
from streaming.operations.observer import QueryProgress
from tests.support.eventually import SLOWEST, eventually

IDLE_AFTER = "spark.sql.streaming.noDataProgressEventInterval"


@dataclass
class Heard:
    """What the callback was told."""

    progress: list[QueryProgress] = field(default_factory=list)
    idles: int = 0
    ends: list[str | None] = field(default_factory=list)

    def progressed(self, progress: QueryProgress) -> None:
        self.progress.append(progress)

    def idle(self) -> None:
        self.idles += 1

    def terminated(self, problem: str | None) -> None:
        self.ends.append(problem)


@pytest.fixture
def name() -> str:
    return f"query-{uuid4().hex[:8]}"


@pytest.fixture(params=[ProgressListener, EventListener], ids=["as text", "as events"])
def heard(spark: SparkSession, name: str, request: pytest.FixtureRequest) -> Iterator[Heard]:
    heard = Heard()
    listener = request.param(name, heard)
    spark.streams.addListener(listener)
    yield heard
    spark.streams.removeListener(listener)


def start(spark: SparkSession, name: str, folder: Path, *, fails: bool = False) -> StreamingQuery:
    def batch(frame: DataFrame, number: int) -> None:
        if fails:
            raise ValueError("a failing batch")
        frame.count()

    (folder / "in").mkdir()
    (folder / "in" / "one.txt").write_text("a\nb\nc\n")
    stream = spark.readStream.text(str(folder / "in"))
    return (
        stream.writeStream.queryName(name).option("checkpointLocation", str(folder / "c")).foreachBatch(batch).start()
    )


def test_progress_and_the_end_are_passed_on(spark: SparkSession, name: str, heard: Heard, tmp_path: Path) -> None:
    query = start(spark, name, tmp_path)
    query.processAllAvailable()
    first = eventually(lambda: heard.progress)[0]
    assert (first.batch, first.rows) == (0, 3)
    assert first.seconds > 0
    query.stop()
    eventually(lambda: heard.ends)
    assert heard.ends == [None]


@pytest.fixture
def soon_idle(spark: SparkSession) -> Iterator[None]:
    """A query says after half a second, instead of ten, that it is idle."""
    spark.conf.set(IDLE_AFTER, "500ms")
    yield
    spark.conf.unset(IDLE_AFTER)


@pytest.mark.usefixtures("soon_idle")
def test_idleness_is_passed_on(spark: SparkSession, name: str, heard: Heard, tmp_path: Path) -> None:
    query = start(spark, name, tmp_path)
    try:
        query.processAllAvailable()
        eventually(lambda: heard.idles > 0, timeout=SLOWEST)
    finally:
        query.stop()


def test_a_failure_ends_with_its_problem(spark: SparkSession, name: str, heard: Heard, tmp_path: Path) -> None:
    query = start(spark, name, tmp_path, fails=True)
    with pytest.raises(StreamingQueryException):
        query.awaitTermination()
    problem = eventually(lambda: heard.ends)[0]
    assert problem is not None
    assert "a failing batch" in problem


def test_other_queries_of_the_session_are_not_listened_to(spark: SparkSession, heard: Heard, tmp_path: Path) -> None:
    query = start(spark, "another", tmp_path)
    query.processAllAvailable()
    query.stop()
    assert heard.progress == []
    assert heard.ends == []


@pytest.mark.parametrize(
    ("end", "latest", "lag"),
    [
        ('{"t": {"0": 5, "1": 7}}', '{"t": {"0": 9, "1": 7}}', {"t": {0: 4, 1: 0}}),
        ('{"t": {"0": 5}}', '{"t": {"0": 9, "1": 3}}', {"t": {0: 4}}),
        ('{"logOffset": 3}', '{"logOffset": 4}', {}),
        (None, None, {}),
        ("3", "4", {}),
        ("{", "{}", {}),
    ],
    ids=["two partitions", "a new partition", "a file source", "none", "numbers", "garbage"],
)
def test_lag_comes_from_kafka_s_offsets_only(end: str | None, latest: str | None, lag: object) -> None:
    assert lag_of(end, latest) == lag
