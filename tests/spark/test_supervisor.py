"""The supervisor over a real query: asked to stop in a batch, it ends after that batch and before the next."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from streaming.clock import system_clock
from streaming.delivery.outcome import Outcome
from streaming.engines.breaker import Bounds, Breaker
from streaming.engines.failures import Restarts
from streaming.engines.supervisor import BatchFunction, Supervisor
from streaming.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    InvariantError,
    PenstockError,
    ScoringError,
    UpstreamError,
)


class Silent:
    """An observer that fails the test's thread on any failure of the query."""

    def query_started(self) -> None:
        """It runs."""

    def query_failed(self, problem: str, pause: float) -> None:
        raise AssertionError(f"{problem}, {pause}")


class Run:
    """A query over a source that never dries up, supervised; what it has written is ``committed``."""

    def __init__(self, spark: SparkSession, checkpoint: Path, breaker: Breaker) -> None:
        self._spark = spark
        self._checkpoint = checkpoint
        self.stopping = threading.Event()
        self.queries: list[StreamingQuery] = []
        self._supervisor = Supervisor(self._start, Restarts(1.0, 0), Silent(), breaker, self.stopping)

    def until_stopped(self, batch: BatchFunction) -> None:
        self._supervisor.run(batch)

    def _start(self, batch: BatchFunction) -> StreamingQuery:
        rows = self._spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
        writing = rows.writeStream.foreachBatch(batch).option("checkpointLocation", str(self._checkpoint))
        self.queries.append(writing.start())
        return self.queries[-1]

    @property
    def committed(self) -> list[int]:
        return sorted(int(path.name) for path in (self._checkpoint / "commits").iterdir() if path.name.isdigit())


def a_breaker() -> Breaker:
    return Breaker(Bounds(share=0.5, seconds=timedelta(hours=1).total_seconds(), rows=1), system_clock)


def test_a_stop_lets_the_batch_in_progress_finish_and_the_next_one_wait_for_the_next_start(
    spark: SparkSession, tmp_path: Path
) -> None:
    run, done = Run(spark, tmp_path, a_breaker()), []

    def batch(records: DataFrame, number: int) -> None:
        if number == 1:
            run.stopping.set()
        done.append((number, records.count()))

    run.until_stopped(batch)
    assert done == [(0, 10), (1, 10)]
    assert run.committed == [0, 1]
    assert run.queries[0].exception() is None, "an orderly stop is no failure of the query"

    def last(records: DataFrame, number: int) -> None:
        done.append((number, records.count()))
        run.stopping.set()

    run.stopping.clear()
    run.until_stopped(last)
    assert [number for number, _ in done] == [0, 1, 2]


@pytest.mark.parametrize("fault", [ScoringError, InvariantError], ids=["no version can score it", "rows were lost"])
def test_what_another_start_cannot_mend_ends_the_job_without_one(
    fault: type[PenstockError], spark: SparkSession, tmp_path: Path
) -> None:
    run = Run(spark, tmp_path, a_breaker())

    def batch(_: DataFrame, number: int) -> None:
        raise fault("tiny v1 throws: no such file")

    with pytest.raises(fault, match="tiny v1 throws: no such file"):
        run.until_stopped(batch)
    assert len(run.queries) == 1


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        pytest.param(ScoringError("no good version is left"), ScoringError, id="a model's fault"),
        pytest.param(ConfigurationError("grant WRITE"), ConfigurationError, id="a missing right"),
        pytest.param(BrokerUnavailableError("topic x is gone"), UpstreamError, id="a service's fault"),
        pytest.param(KeyError("a mistake of ours"), StreamingQueryException, id="unexpected"),
    ],
)
def test_an_error_in_a_batch_ends_the_job_as_what_it_is(
    problem: Exception, kind: type[Exception], spark: SparkSession, tmp_path: Path
) -> None:
    def batch(_records: DataFrame, _number: int) -> None:
        raise problem

    with pytest.raises(kind, match=str(problem)) as caught:
        Run(spark, tmp_path, a_breaker()).until_stopped(batch)
    assert getattr(caught.value, "exit_code", 1) == getattr(kind, "exit_code", 1)


def test_a_stop_ends_a_pause_of_the_breaker_and_leaves_the_batch_to_the_next_start(
    spark: SparkSession, tmp_path: Path
) -> None:
    breaker = a_breaker()
    run, done = Run(spark, tmp_path, breaker), []

    def batch(_: DataFrame, number: int) -> None:
        done.append(number)
        breaker.batch_finished(Outcome(dead_letters={"MALFORMED_JSON": 10}))
        threading.Timer(0.5, run.stopping.set).start()

    run.until_stopped(batch)
    assert done == run.committed == [0]
    assert run.queries[0].exception() is None
