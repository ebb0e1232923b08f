"""Trains the workload's model and lays out its folder, in a process of its own, whose JVM is gone when runs begin.

``python -m benchmarks.latency.model WORKLOAD TRACKING_URI FOLDER`` registers the model with the tracking server, as
``penstock train`` does, and writes what :class:`~benchmarks.latency.system.Wiring` says about ``model``, and beside it:

- ``bodies.jsonl``: the events without their ids
- ``expected.npy``: what Spark predicts for each
- ``registry.json``: where the model is registered: ``tracking_uri``, ``name``, ``version``, ``alias``
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import MultilayerPerceptronClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.latency.generated import CLASSES
from benchmarks.latency.workloads import WORKLOADS, Workload
from jobs.verbs.train.run import train_version
from jobs.wiring.following import registry
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import session
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.errors import SetupError
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.ref import ModelVersion
from streaming.settings import Settings
from streaming.training.dataset import LABEL, load_dataset
from streaming.training.record import Promotion

ALIAS = "champion"
HIDDEN = 32


def train_apart(workload: Workload, tracking_uri: str, folder: Path) -> Path:
    """Train in a process of its own and return the model's folder, below ``folder``.

    Raises:
        SetupError: It failed; the message has the end of its output.
    """
    command = [sys.executable, "-m", "benchmarks.latency.model", workload.name, tracking_uri, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"the benchmark's model could not be trained:\n{(done.stdout + done.stderr).strip()[-3000:]}")
    return folder / "model"


def train(workload: Workload, tracking_uri: str, folder: Path) -> None:
    """Train, register, and write the model's folder."""
    target = folder / "model"
    target.mkdir(parents=True)
    settings = Settings.model_validate(
        {
            "model": {"tracking_uri": tracking_uri, "cache_dir": str(folder / "models")},
            "train": {"alias": ALIAS, **workload.training(folder)},
        }
    )
    write_events(workload, target)
    with session(settings, "penstock-train", folder / "train-spark.log") as spark:
        version = train_net(settings, spark) if workload.net else train_version(settings, spark, print).version
        lay_out(settings, version, target)
        np.save(target / "expected.npy", expected(spark, workload, target))


def train_net(settings: Settings, spark: SparkSession) -> ModelVersion:
    """Fit a multilayer perceptron with one hidden layer on ``train.data``, and register it."""
    dataset = load_dataset(spark, settings.train)
    layers = [len(dataset.numeric), HIDDEN, CLASSES]
    net = MultilayerPerceptronClassifier(labelCol=LABEL, layers=layers, maxIter=20, seed=settings.train.seed)
    assembler = VectorAssembler(inputCols=[*dataset.numeric], outputCol="features")
    fitted = Pipeline(stages=[assembler, net]).fit(dataset.frame)
    tracker = MlflowTracker(settings.model.tracking_uri, None)
    with tracker.run(settings.train.experiment, "net") as run, TemporaryDirectory() as folder:
        tree = Path(folder) / "model"
        run.save(fitted, dataset.signature, tree)
        version = run.register(tree, settings.model.name, {DIGEST_TAG: tree_digest(tree)})
    tracker.promote(version, Promotion(ALIAS))
    return version


def lay_out(settings: Settings, version: ModelVersion, target: Path) -> None:
    """Fetch the version from the registry, and say where it came from."""
    (target / "mlflow").mkdir()
    registry(settings.model).download(version, target / "mlflow")
    shutil.copytree(target / "mlflow" / "sparkml", target / "pipeline")
    origin = {"tracking_uri": settings.model.tracking_uri, "name": version.name, "version": version.version}
    (target / "registry.json").write_text(json.dumps({**origin, "alias": ALIAS}))


def write_events(workload: Workload, target: Path) -> None:
    """Write the events and the features that they carry."""
    (target / "bodies.jsonl").write_bytes(b"".join(body + b"\n" for body in workload.bodies()))
    features = [{"name": c.name, "type": c.type, "required": c.required} for c in workload.signature.columns]
    (target / "features.json").write_text(json.dumps(features))


def expected(spark: SparkSession, workload: Workload, target: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return Spark's prediction for each event, in their order."""
    types = {"integer": "int", "long": "bigint"}
    schema = ", ".join(f"`{c.name}` {types.get(c.type, c.type)}" for c in workload.signature.columns)
    lines = (target / "bodies.jsonl").read_text().splitlines()
    # An event without its id is an object again with its brace.
    texts = spark.createDataFrame([(at, "{" + line) for at, line in enumerate(lines)], "at long, text string")
    rows = texts.select("at", F.from_json("text", schema).alias("event")).select("at", "event.*")
    scored = PipelineModel.load((target / "pipeline").absolute().as_uri()).transform(rows)
    return np.array([row[0] for row in scored.orderBy("at").select("prediction").collect()], np.float64)


def main(name: str, tracking_uri: str, folder: Path) -> None:
    """Train one workload's model."""
    prepare_mlflow()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    train(WORKLOADS[name], tracking_uri, folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
