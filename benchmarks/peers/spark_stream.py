"""What the plain Spark peers share: session, Kafka source and native Kafka sink, tuned as ``spark-tuned`` is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from benchmarks.latency.spark_tuned import SESSION, SINK, SOURCE
from benchmarks.peers.environments import ROOT
from benchmarks.peers.task import Task
from jobs.wiring.jars import jars


def start_session(task: Task) -> SparkSession:
    """Return a local session with two slots: as many as the source has partitions."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    connector = ",".join(jars(ROOT / ".penstock").connector_jars())
    builder = SparkSession.builder.appName(task.name).master("local[2]").config("spark.jars", connector)
    for key, value in {"spark.driver.memory": "2g", **SESSION}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def read(spark: SparkSession, task: Task) -> DataFrame:
    """Return the source topic as a stream."""
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", task.bootstrap)
    return reader.options(subscribe=task.source, startingOffsets="earliest", **SOURCE).load()


def write(frame: DataFrame, task: Task) -> None:
    """Write the stream's ``key`` and ``value`` to the sink until the process is ended."""
    checkpoint = str(Path(task.folder) / "checkpoint")
    writer = frame.writeStream.format("kafka").option("kafka.bootstrap.servers", task.bootstrap)
    writer.options(topic=task.sink, checkpointLocation=checkpoint, **SINK).start().awaitTermination()
