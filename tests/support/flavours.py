"""Small models of other libraries than Spark's, saved by MLflow itself, for tests of how they are read and scored."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from numpy.typing import NDArray

from streaming.events import columns as c
from streaming.models.cache import CachedModel
from streaming.models.digest import tree_digest
from streaming.models.package import SPARK_FLAVOR, ModelPackage
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelVersion
from streaming.models.signature import UNNAMED, Column, Signature
from streaming.scoring.flavours.loader import saved_model
from streaming.scoring.flavours.scorer import NativeScorer
from streaming.scoring.flavours.table import FLAVOURS, WITH_CODE
from streaming.settings import ModelSettings
from tests.support.versions import SPARK

SIGNATURE = Signature.from_config({"distance": "double", "gust": "double?", "hour": "long", "night": "boolean"})
"""What the models read that take numbers alone."""
DISTANCE = Signature.from_config({"distance": "double"})


@cache
def flights(rows: int = 300) -> pd.DataFrame:
    """Return made-up flights, some without a gust, and whether each was late, of three kinds."""
    chance = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "distance": chance.uniform(50, 2500, rows),
            "gust": np.where(chance.random(rows) < 0.2, np.nan, chance.uniform(0, 60, rows)),
            "hour": chance.integers(0, 24, rows),
            "night": chance.random(rows) < 0.3,
        }
    )
    delay = frame["hour"] * 2 + frame["gust"].fillna(10) / 2 + chance.normal(0, 5, rows) - 15 * frame["night"]
    return frame.assign(delay=delay, late=(delay > 30).astype(int), kind=np.digitize(delay, [15, 35]))


def features(rows: slice = slice(None)) -> pd.DataFrame:
    """Return the columns of :data:`SIGNATURE`."""
    return flights()[list(SIGNATURE.names)][rows]


def batch(frame: pd.DataFrame | None = None) -> pa.RecordBatch:
    """Return events with a frame's columns; NaN becomes null."""
    return pa.RecordBatch.from_pandas(features() if frame is None else frame, preserve_index=False)


def saved(flavor: str, model: Any, root: Path, signature: Signature = SIGNATURE, **options: Any) -> Path:
    """Save a model as MLflow does, with the columns that it reads."""
    specs: list[ColSpec | TensorSpec] = [
        ColSpec(column.type, column.name, required=column.required) for column in signature.columns
    ]
    if any(column.is_list for column in signature.columns):
        specs = [_tensor(column) for column in signature.columns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, of itself
        module = import_module(f"mlflow.{flavor}")
        signature_of = ModelSignature(inputs=Schema(specs))
        module.save_model(model, str(root), signature=signature_of, pip_requirements=[], **options)
    return root


ODD_CODE = """
import os, time
import mlflow

class Odd(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        distance = model_input["distance"]
        if (distance == 1).any():
            raise ValueError("a distance of one")
        if (distance == 2).any():
            os._exit(7)
        if (distance == 3).any():
            time.sleep(600)
        print("what it prints is no answer")
        return distance * 0 + os.getpid() if (distance == 4).any() else distance * 2

mlflow.models.set_model(Odd())
"""
"""It raises, dies and hangs, each at a distance of its own; at 4 it answers with the number of its process."""


def saved_code(root: Path, code: str) -> Path:
    """Save a model that is a script, which reads the column ``distance``."""
    script = root.parent / f"{root.name}.py"
    script.write_text(code)
    signature = ModelSignature(inputs=Schema([ColSpec("double", "distance")]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, of itself
        module = import_module("mlflow.pyfunc")
        module.save_model(str(root), python_model=str(script), signature=signature, pip_requirements=[])
    return root


_DTYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32"}


def _tensor(column: Column) -> TensorSpec:
    shape = (-1, column.length) if column.length else (-1,)
    name = None if column.name == UNNAMED else column.name
    return TensorSpec(np.dtype(_DTYPES[column.type]), shape, name)


def described(root: Path, version: int = 1, *, code: bool = False) -> ModelPackage:
    """Read a saved version as a job does, which serves each flavor, and with ``code`` what is code alone."""
    cached = CachedModel(root, ModelVersion("tiny", version, f"run{version}"), tree_digest(root))
    return PackageReader(ModelSettings(), SPARK).read(cached, [SPARK_FLAVOR, *(WITH_CODE if code else FLAVOURS)])


def scorer_of(root: Path) -> NativeScorer:
    """Return what scores a saved version, in this process."""
    return NativeScorer(saved_model(described(root)))


def answers(scorer: NativeScorer, events: pa.RecordBatch) -> dict[str, list[Any]]:
    """Return predictions, probabilities, labels and confidences."""
    return {name.removeprefix(c.PREFIX): values for name, values in scorer.score(events).to_pydict().items()}


def predicted(model: Any, frame: pd.DataFrame | None = None) -> NDArray[np.float64]:
    """Return what a library's own predict says, by default of all flights."""
    return np.asarray(model.predict(features() if frame is None else frame))


def event_of(row: Iterable[Any], number: int) -> bytes:
    """Return a row of :func:`features` as a record of the stream."""
    values = {name: None if value != value else value for name, value in zip(SIGNATURE.names, row, strict=True)}
    return json.dumps({"event_id": f"e{number}", "event_time": "2013-01-01T05:15:00Z", **values}).encode()


def tensor_event(numbers: list[float], number: int) -> bytes:
    """Return a row of a matrix as a record of the stream."""
    return json.dumps({"event_id": f"e{number}", "event_time": "2013-01-01T05:15:00Z", UNNAMED: numbers}).encode()
