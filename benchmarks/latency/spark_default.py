"""Spark's micro-batch as a user writes it after the documentation: defaults for everything that has one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F


def schema(model: Path) -> str:
    """Return the events' schema."""
    spark_names = {"integer": "int", "long": "bigint"}
    features = json.loads((model / "features.json").read_text())
    columns = [f"`{f['name']}` {spark_names.get(f['type'], f['type'])}" for f in features]
    return ", ".join(["event_id string", "event_time string", *columns])


def scored(events: DataFrame, model: Path) -> DataFrame:
    """Return key and value of each output."""
    rows = events.select("key", F.from_json(F.col("value").cast("string"), schema(model)).alias("event"))
    pipeline = PipelineModel.load((model / "pipeline").as_uri())
    predictions = pipeline.transform(rows.select("key", "event.*"))
    probability = vector_to_array(F.col("probability")).alias("probability")
    return predictions.select("key", F.to_json(F.struct("event_id", "prediction", probability)).alias("value"))


def main(jars: str, bootstrap: str, source: str, sink: str, model: str, checkpoint: str, workload: str) -> None:
    """Score until the process is ended."""
    # The connector, the cores, and a driver with as much memory as the other systems' is what this machine gives.
    builder = SparkSession.builder.master("local[2]").config("spark.jars", jars)
    spark = builder.config("spark.driver.memory", "2g").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    events = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", source)
        .option("startingOffsets", "earliest")
        .load()
    )
    query = (
        (events.select("key", "value") if workload == "copy" else scored(events, Path(model)))
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("topic", sink)
        .option("checkpointLocation", checkpoint)
        .start()
    )
    query.awaitTermination()


if __name__ == "__main__":
    main(*sys.argv[1:])
