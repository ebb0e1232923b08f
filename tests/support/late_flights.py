"""A small pipeline on disk that says whether a flight is late: text, a hole that is filled, a logistic regression."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.saved import Stage, save_pipeline

EVENTS = pa.schema([("carrier", pa.string()), ("hour", pa.int64()), ("temp", pa.float64())])
WEIGHTS = [2.0, 0.0, 0.5, -0.1]
MATRIX = {"type": 1, "numRows": 1, "numCols": 4, "colPtrs": None, "rowIndices": None, "values": WEIGHTS}
STAGES: list[Stage] = [
    ("feature.StringIndexerModel", {"handleInvalid": "keep", "inputCols": ["carrier"], "outputCols": ["index"]}),
    (
        "feature.OneHotEncoderModel",
        {"handleInvalid": "error", "dropLast": True, "inputCols": ["index"], "outputCols": ["onehot"]},
    ),
    ("feature.ImputerModel", {"inputCols": ["temp"], "outputCols": ["filled"]}),
    (
        "feature.VectorAssembler",
        {"handleInvalid": "error", "inputCols": ["onehot", "hour", "filled"], "outputCol": "features"},
    ),
    (
        "classification.LogisticRegressionModel",
        {
            "featuresCol": "features",
            "predictionCol": "prediction",
            "probabilityCol": "probability",
            "rawPredictionCol": "raw",
            "threshold": 0.5,
        },
    ),
    ("feature.IndexToString", {"inputCol": "prediction", "outputCol": "answer", "labels": ["on time", "late"]}),
]
FITTED: dict[str, dict[str, Any]] = {
    "feature.StringIndexerModel": {"labelsArray": [["UA", "AA"]]},
    "feature.OneHotEncoderModel": {"categorySizes": [3]},
    "feature.ImputerModel": {"temp": 60.0},
    "classification.LogisticRegressionModel": {
        "numClasses": 2,
        "numFeatures": 4,
        "interceptVector": {"type": 1, "size": None, "indices": None, "values": [-1.0]},
        "coefficientMatrix": {**MATRIX, "isTransposed": False},
        "isMultinomial": False,
    },
}
ROWS = [("UA", 0, 10.0), ("AA", 20, None), ("never seen", 8, math.nan), (None, 4, 10.5)]


def saved(folder: Path, stages: Sequence[Stage] = STAGES, fitted: Mapping[str, Mapping[str, Any]] = FITTED) -> Path:
    """Save it below ``folder``, or other stages."""
    return save_pipeline(folder / "model", stages, fitted)


def batch(rows: Sequence[Any]) -> pa.RecordBatch:
    """Return events of these rows."""
    return pa.RecordBatch.from_pylist([dict(zip(EVENTS.names, row, strict=True)) for row in rows], EVENTS)
