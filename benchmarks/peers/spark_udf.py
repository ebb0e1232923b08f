"""Plain Structured Streaming that scores with ``mlflow.pyfunc.spark_udf``, as MLflow's documentation shows it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import mlflow.pyfunc
from pyspark.sql import functions as F

from benchmarks.peers.spark_stream import read, start_session, write
from benchmarks.peers.task import Task, given_task


def main(task: Task) -> None:
    """Score until the process is ended."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = start_session(task)
    features = json.loads((Path(task.model) / "features.json").read_text())
    schema = ", ".join(["event_id string", *(f"`{feature['name']}` {feature['type']}" for feature in features)])
    # env_manager="local": the workers have what the model needs, so none of it is installed again.
    model = str(Path(task.model) / "mlflow")
    predict = mlflow.pyfunc.spark_udf(spark, model, result_type="double", env_manager="local")
    event = F.from_json(F.col("value").cast("string"), schema)
    parsed = read(spark, task).select("key", event.alias("event")).select("key", "event.*")
    prediction = predict(F.struct(*(feature["name"] for feature in features)))
    scored = parsed.select("key", "event_id", prediction.alias("prediction"))
    write(scored.select("key", F.to_json(F.struct("event_id", "prediction")).alias("value")), task)


if __name__ == "__main__":
    main(given_task())
