"""What the plain Spark peers share: a session, a Kafka source and the native Kafka sink, tuned alike."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from benchmarks.peers.environments import ROOT
from benchmarks.peers.task import Task
from streaming.local.jars import ensure_jars


def start_session(task: Task) -> SparkSession:
    """Return a local session with two slots: as many as the source has partitions."""
    jars = ",".join(ensure_jars(ROOT / ".penstock", os.environ).connector_jars())
    spark = (
        SparkSession.builder.appName(task.name)
        .master("local[2]")
        .config("spark.jars", jars)
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        # Spark's docs/streaming/performance-tips.md and its own Kafka benchmark (RTMKafkaKafkaBenchmark): no waiting
        # between two looks at the source.
        .config("spark.sql.streaming.pollingDelay", "1ms")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def read(spark: SparkSession, task: Task) -> DataFrame:
    """Return the source topic as a stream."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", task.bootstrap)
        .option("subscribe", task.source)
        .option("startingOffsets", "earliest")
        # RTMKafkaKafkaBenchmark: a fetch that finds nothing must not hold a batch for the default half second.
        .option("kafka.fetch.max.wait.ms", "10")
        .load()
    )


def write(frame: DataFrame, task: Task) -> None:
    """Write the stream's ``key`` and ``value`` to the sink until the process is ended."""
    query = (
        frame.writeStream.format("kafka")
        .option("kafka.bootstrap.servers", task.bootstrap)
        .option("topic", task.sink)
        .option("checkpointLocation", str(Path(task.folder) / "checkpoint"))
        .option("kafka.linger.ms", "0")
        # docs/streaming/performance-tips.md, "Asynchronous progress tracking": for stateless queries into Kafka.
        .option("asyncProgressTrackingEnabled", "true")
        .start()
    )
    query.awaitTermination()
