"""A short run of what Spark does for Penstock, so that Java has loaded the classes which an archive is to hold.

``spark-submit`` runs this file by itself; it imports nothing of Penstock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

EVENTS = ['{"airport": "LGA", "wind": 1.5}', '{"airport": "JFK", "wind": 9.5}']


def main() -> None:
    """Read events, write files, and run one batch of a stream."""
    spark = SparkSession.builder.getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        rehearse(spark, Path(folder))
    spark.stop()


def rehearse(spark: SparkSession, folder: Path) -> None:
    """Do once what every job does."""
    text = spark.createDataFrame([(line,) for line in EVENTS], "value string")
    events = text.select(F.from_json("value", "airport string, wind double").alias("event")).select("event.*")
    written = events.select(F.to_json(F.struct("airport", "wind")).alias("value"))
    written.mapInArrow(_same, "value string").write.parquet(str(folder / "written"))
    stream = spark.readStream.schema("value string").parquet(str(folder / "written"))
    options = {"checkpointLocation": str(folder / "checkpoint")}
    stream.writeStream.foreachBatch(_collect).trigger(availableNow=True).options(**options).start().awaitTermination()


def _same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def _collect(batch: DataFrame, _: int) -> None:
    batch.collect()


if __name__ == "__main__":
    main()
