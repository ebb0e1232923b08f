"""Plain Structured Streaming that scores with ``mlflow.pyfunc.spark_udf``, as MLflow's documentation shows it."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow.pyfunc
from pyspark.sql import functions as F

from benchmarks.latency.spark_default import schema
from benchmarks.peers.spark_stream import read, start_session, write
from benchmarks.peers.task import Task, given_task


def main(task: Task) -> None:
    """Score until the process is ended."""
    spark = start_session(task)
    model = Path(task.model)
    features = [feature["name"] for feature in json.loads((model / "features.json").read_text())]
    # mlflow.pyfunc.spark_udf, "env_manager": with "local" nothing is installed anew, and the workers start soonest.
    predict = mlflow.pyfunc.spark_udf(spark, str(model / "mlflow"), result_type="double", env_manager="local")
    event = F.from_json(F.col("value").cast("string"), schema(model)).alias("event")
    rows = read(spark, task).select("key", event).select("key", "event.*")
    scored = rows.withColumn("prediction", predict(F.struct(*features)))
    write(scored.select("key", F.to_json(F.struct("event_id", "prediction")).alias("value")), task)


if __name__ == "__main__":
    main(given_task())
