"""The live engine on a real broker: nothing lost at restarts, at swaps, and where a pipeline throws."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from schemas.dead_letter import REASON
from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Outgoing
from streaming.models.served import ServedModel
from streaming.scoring.pipeline import SparkPipeline
from tests.support.engine import event
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.live import LiveBench, place, version
from tests.support.models import renumbered, retyped


@pytest.fixture
def bench(spark: SparkSession, broker: str, make_topic: MakeTopic, model: ServedModel, tmp_path: Path) -> LiveBench:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    made = LiveBench(spark, broker, topic, tmp_path, f"app-{uuid4().hex[:8]}")
    made.slot.release_with(lambda model: None)
    made.slot.swap(model)
    return made


def query_of(bench: LiveBench, spark: SparkSession) -> StreamingQuery | None:
    return next((query for query in spark.streams.active if bench.application in (query.name or "")), None)


def has_answered(bench: LiveBench, count: int) -> bool:
    return len(answered(bench)) > count


def answered(bench: LiveBench) -> set[tuple[int, int]]:
    return set(bench.places())


@pytest.mark.long
def test_every_event_is_answered_once_and_the_marks_follow(bench: LiveBench) -> None:
    nearly_too_large = b"x" * 1_048_300
    bench.send([event(1), nearly_too_large, event(2)])
    with bench.live():
        eventually(lambda: len(answered(bench)) == 3, timeout=SLOWEST)
        bench.send([event(3), None], partition=1)
        eventually(lambda: len(answered(bench)) == 5, timeout=SLOWEST)
    assert bench.failed == []
    assert Counter(bench.places()) == Counter([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)])
    assert {p: mark.offset for p, mark in bench.marks().items() if mark} == {0: 3, 1: 2}


@pytest.mark.long
def test_it_goes_on_where_the_exact_engine_stopped_and_the_other_way_round(bench: LiveBench) -> None:
    bench.send([event(1), event(2)])
    bench.run()
    bench.send([event(3)])
    with bench.live():
        eventually(lambda: len(answered(bench)) == 3, timeout=SLOWEST)
    bench.send([event(4)], partition=1)
    bench.run()
    assert bench.failed == []
    assert Counter(bench.places()) == Counter([(0, 0), (0, 1), (0, 2), (1, 0)])


@dataclass
class Trickle:
    """Sends events at a steady rate until the block ends; ``shares`` partitions get one each in turn."""

    bench: LiveBench
    shares: tuple[int, ...]

    def __enter__(self) -> Trickle:
        self._load: SteadyLoad[int] = SteadyLoad(self.bench.servers, self.bench.topic, rate=50)
        self._load.start(
            Outgoing(event(number), number, partition=self.shares[number % len(self.shares)]) for number in count()
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Send no more."""
        self._load.stop()

    @property
    def sent(self) -> int:
        return self._load.sent


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param((0, 1), id="even"),
        pytest.param((0,), id="an idle partition", marks=pytest.mark.long),
        pytest.param((0, 0, 0, 0, 0, 0, 0, 1), id="a skewed one", marks=pytest.mark.long),
    ],
)
def test_a_swap_loses_nothing_and_is_complete(bench: LiveBench, model: ServedModel, shares: tuple[int, ...]) -> None:
    with bench.live(), Trickle(bench, shares) as trickle:
        eventually(lambda: len(answered(bench)) > 20, timeout=SLOWEST)
        bench.slot.swap(renumbered(model, 2))
        eventually(lambda: 2 in {version(message) for message in bench.read(".out")}, timeout=SLOWEST)
        eventually(lambda: bench.last_versions() == {2}, timeout=SLOWEST)
        trickle.end()
        # To stop is not to read the topic to its end.
        eventually(lambda: len(answered(bench)) == trickle.sent, timeout=SLOWEST)
    assert bench.failed == []


@pytest.mark.long
def test_a_swap_while_the_older_one_lags_loses_nothing(bench: LiveBench, model: ServedModel) -> None:
    bench.send(event(number) for number in range(30_000))
    with bench.live():
        eventually(lambda: len(bench.read(".out")) > 0, timeout=SLOWEST)
        bench.slot.swap(renumbered(model, 2))
        bench.send((event(number) for number in range(30_000)), partition=1)
        # The older one may have read all of them before the younger one was ready: only a later event is surely for it.
        with Trickle(bench, (0, 1)) as trickle:
            eventually(lambda: bench.last_versions() == {2}, timeout=SLOWEST)
        # The younger one may have caught up with the older one and not yet with the topic.
        eventually(lambda: len(answered(bench)) == 60_000 + trickle.sent, timeout=SLOWEST)
    assert bench.failed == []


@dataclass(frozen=True)
class ThrowsInTheJvm(SparkPipeline):
    """A real pipeline behind an expression that throws for some distances, as a user's own stage might."""

    def transform(self, frame: DataFrame) -> DataFrame:
        bad = (F.col("distance") > 0) & (F.col("distance") % 13 == 0)
        thrown = F.when(bad, F.raise_error(F.lit("unlucky")).cast("double")).otherwise(F.col("distance"))
        return super().transform(frame.withColumn("distance", thrown))


def throwing(model: ServedModel, number: int) -> ServedModel:
    return retyped(renumbered(model, number), ThrowsInTheJvm)


@pytest.mark.long
def test_rows_on_which_the_pipeline_throws_become_dead_letters_and_the_others_are_scored(
    bench: LiveBench, model: ServedModel
) -> None:
    bench.slot.swap(throwing(model, 2))
    bench.send(event(number) for number in range(1, 13))
    with bench.live():
        # More often than the engine would start again in vain, and without a boundary in between.
        for number in range(13, 18):
            bench.send([event(13), event(number + 1)])
            eventually(partial(has_answered, bench, 2 * number - 13), timeout=SLOWEST)
    assert bench.failed == []
    letters = {(place(message), dict(message.headers())[REASON]) for message in bench.read(".dlq")}
    assert letters == {((0, offset), b"SCORING_FAILED") for offset in range(12, 22, 2)}


@pytest.mark.long
def test_a_version_that_fails_as_it_takes_over_is_rolled_back_and_the_older_one_goes_on(
    bench: LiveBench, model: ServedModel
) -> None:
    with bench.live():
        bench.send([event(1)])
        eventually(lambda: (mark := bench.marks().get(0)) is not None and mark.offset == 1, timeout=SLOWEST)
        with Trickle(bench, (0, 1)):
            bench.slot.swap(throwing(model, 2))
            eventually(lambda: replace(model.key, version=2) in bench.slot.held, timeout=SLOWEST)
            before = len(answered(bench))
            eventually(lambda: len(answered(bench)) > before + 20, timeout=SLOWEST)
        eventually(lambda: bench.last_versions() == {1}, timeout=SLOWEST)
    assert bench.failed == []


@pytest.mark.long
def test_a_query_that_dies_loses_nothing(bench: LiveBench, spark: SparkSession) -> None:
    with bench.live(), Trickle(bench, (0, 1)) as trickle:
        for deaths in range(2):
            expected = 50 * (deaths + 1)
            eventually(partial(has_answered, bench, expected), timeout=SLOWEST)
            query = eventually(partial(query_of, bench, spark), timeout=SLOWEST)
            query.stop()
        eventually(lambda: len(answered(bench)) > 150, timeout=SLOWEST)
        trickle.end()
        eventually(lambda: len(answered(bench)) == trickle.sent, timeout=SLOWEST)
    assert bench.failed == []
