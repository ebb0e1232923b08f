"""Compiled stages in parts, and batches handed over with one session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from streaming.spark.batches import for_each_batch
from streaming.spark.codegen_stages import FLAG, LIMIT, allow_large, cut
from streaming.spark.plan_nodes import nodes

LAYERS = 8


def layered(spark: SparkSession) -> DataFrame:
    """A chain of projections that the optimizer does not merge: each column is used several times, and costs."""
    frame = spark.range(50).select((F.col("id") % 7).alias("a"))
    for _ in range(LAYERS):
        frame = frame.select(F.sqrt(F.col("a") + F.col("a")).alias("b")).select((F.col("b") * F.col("b")).alias("a"))
    return frame


def planned(frame: DataFrame) -> tuple[list[Any], Any]:
    *above, leaf = nodes(frame._jdf.queryExecution().executedPlan())
    return above, leaf


def put_together(above: list[Any], leaf: Any) -> Any:
    for node in reversed(above):
        leaf = node.withNewChildInternal(leaf)
    return leaf


def lengths(plan: Any) -> Iterator[int]:
    """Count the projections of each compiled stage."""
    length = 0
    for node in nodes(plan):
        name = str(node.getClass().getSimpleName())
        if name in ("WholeStageCodegenExec", "InputAdapter"):
            if length:
                yield length
            length = 0
        elif name == "ProjectExec":
            length += 1
    if length:
        yield length


def test_a_long_stage_is_cut_and_computes_the_same(spark: SparkSession) -> None:
    frame = layered(spark)
    above, leaf = planned(frame)
    whole, parts = list(lengths(put_together(above, leaf))), put_together(cut(spark, above), leaf)
    assert max(whole) > 3
    assert max(lengths(parts)) == 3
    assert sum(lengths(parts)) == sum(whole)
    result = [row.getDouble(0) for row in parts.executeCollectPublic()]
    assert result == [row["a"] for row in frame.collect()]


def test_a_short_stage_stays_whole(spark: SparkSession) -> None:
    above, _ = planned(spark.range(5).select((F.col("id") + 1).alias("a")))
    assert [node.toString() for node in cut(spark, above)] == [node.toString() for node in above]


@pytest.mark.parametrize(("options", "allowed"), [(FLAG, True), ("-Xss4m", False)], ids=["with the flag", "without"])
def test_large_stages_are_compiled_only_where_the_jvm_takes_them(
    options: str, allowed: bool, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = spark.newSession()
    own.conf.set(LIMIT, "8000")
    conf = spark.sparkContext.getConf()
    conf.set("spark.driver.extraJavaOptions", options)
    monkeypatch.setattr(spark.sparkContext, "getConf", lambda: conf)
    allow_large(own)
    assert (own.conf.get(LIMIT) != "8000") == allowed


def start(spark: SparkSession, folder: Path, batch: Any) -> StreamingQuery:
    (folder / "in").mkdir()
    for number in range(3):
        (folder / "in" / f"{number}.txt").write_text(f"{number}\n")
    stream = spark.readStream.option("maxFilesPerTrigger", "1").text(str(folder / "in"))
    writing = stream.writeStream.option("checkpointLocation", str(folder / "c"))
    return for_each_batch(writing, batch).trigger(availableNow=True).start()


def test_all_batches_of_a_query_have_the_same_session(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[tuple[int, DataFrame]] = []

    def batch(frame: DataFrame, number: int) -> None:
        seen.append((number, frame))
        assert frame.count() == 1

    start(spark, tmp_path, batch).awaitTermination()
    assert [number for number, _ in seen] == [0, 1, 2]
    assert len({id(frame.sparkSession) for _, frame in seen}) == 1


def test_what_a_batch_raises_ends_the_query(spark: SparkSession, tmp_path: Path) -> None:
    def batch(frame: DataFrame, number: int) -> None:
        raise ValueError(f"batch {number} does not want")

    with pytest.raises(StreamingQueryException, match="batch 0 does not want"):
        start(spark, tmp_path, batch).awaitTermination()
