"""Spark's micro-batch tuned for latency: the query of ``spark_default`` with what the documentation and source offer.

It stays at least once, and asynchronous progress tracking weakens even that a little: a batch that is repeated after a
crash may have other bounds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.latency.spark_default import scored

SESSION = {
    # Structured Streaming guide, "Performance tips": progress is written beside the batches, not between them (below).
    # A look for new data every millisecond, not every ten, while there is none.
    "spark.sql.streaming.pollingDelay": "1ms",
    # One stage without a shuffle has nothing to adapt; planning it again costs time in each batch.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.adaptive.streaming.stateless.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    # Tuning guide, "Data locality": on one machine there is nothing to wait for.
    "spark.locality.wait": "0s",
    # No user interface listens to every task.
    "spark.ui.enabled": "false",
    "spark.sql.streaming.ui.enabled": "false",
    "spark.sql.streaming.metricsEnabled": "false",
    # No file of checksums beside each file of the checkpoint.
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
}
SOURCE = {
    # At the end of the log a fetch waits up to 500 ms for company by default; Spark's own benchmarks set 10.
    "kafka.fetch.max.wait.ms": "10",
    # A batch after a stall stays small enough to be over soon.
    "maxOffsetsPerTrigger": "50000",
}
SINK = {
    "kafka.linger.ms": "0",
    "asyncProgressTrackingEnabled": "true",
    "asyncProgressTrackingCheckpointIntervalMs": "1000",
}


def main(jars: str, bootstrap: str, source: str, sink: str, model: str, checkpoint: str, workload: str) -> None:
    """Score until the process is ended."""
    builder = SparkSession.builder.master("local[2]").config("spark.jars", jars).config("spark.driver.memory", "2g")
    for key, value in SESSION.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", bootstrap)
    events = reader.options(subscribe=source, startingOffsets="earliest", **SOURCE).load()
    outputs = events.select("key", "value") if workload == "copy" else scored(events, Path(model))
    writer = outputs.writeStream.format("kafka").option("kafka.bootstrap.servers", bootstrap)
    writer.options(topic=sink, checkpointLocation=checkpoint, **SINK).start().awaitTermination()


if __name__ == "__main__":
    main(*sys.argv[1:])
