"""Read a saved Spark pipeline's parameters from its files, without Spark: the demonstration's kind, and no other.

That is StringIndexer (keep), OneHotEncoder, Imputer, VectorAssembler and a binary LogisticRegression over any columns.
One-hot encoding and a dot product are together a sum of one weight per category, and so they are kept here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class UnsupportedPipelineError(ValueError):
    """The pipeline has a stage, or a parameter of one, that is not converted."""


@dataclass(frozen=True)
class Category:
    """A text column: the weight of each known value; a value never seen at training weighs nothing."""

    column: str
    weights: dict[str, float]


@dataclass(frozen=True)
class Number:
    """A numeric column, its weight, and what stands in for a missing value (NaN: nothing does)."""

    column: str
    weight: float
    filler: float


@dataclass(frozen=True)
class LinearModel:
    """A binary logistic regression over text and numeric columns."""

    categories: tuple[Category, ...]
    numbers: tuple[Number, ...]
    intercept: float
    threshold: float

    def probability(self, events: list[dict[str, Any]]) -> Floats:
        """Return P(class 1) of each event in plain numpy: what any other form of the model is compared with."""
        margin = np.full(len(events), self.intercept)
        for category in self.categories:
            margin += [category.weights.get(event[category.column], 0.0) for event in events]
        for number in self.numbers:
            values = np.array([event[number.column] for event in events], dtype=np.float64)
            margin += number.weight * np.where(np.isnan(values), number.filler, values)
        return np.asarray(1.0 / (1.0 + np.exp(-margin)), dtype=np.float64)


@dataclass(frozen=True)
class _Stage:
    kind: str
    parameters: dict[str, Any]
    folder: Path

    @property
    def data(self) -> dict[str, Any]:
        """The stage's one row of fitted values."""
        return dict(pq.read_table(self.folder / "data").to_pylist()[0])

    def columns(self, side: str) -> list[str]:
        """Return its input or output columns, whether the stage has one or several."""
        return list(self.parameters.get(f"{side}Cols") or [self.parameters[f"{side}Col"]])


def read_pipeline(folder: Path) -> LinearModel:
    """Return the model of a saved ``PipelineModel``.

    Raises:
        UnsupportedPipelineError: it has another stage, or a parameter that is not converted.
    """
    made: dict[str, Any] = {}
    for stage in _stages(folder):
        if stage.kind == "LogisticRegressionModel":
            return _linear(stage, made[stage.parameters["featuresCol"]])
        if stage.kind not in _READ:
            raise UnsupportedPipelineError(f"{stage.kind} in {folder} is not converted")
        _READ[stage.kind](stage, made)
    raise UnsupportedPipelineError(f"{folder} has no logistic regression")


def _stages(folder: Path) -> list[_Stage]:
    found = sorted((folder / "stages").iterdir(), key=lambda path: int(path.name.split("_")[0]))
    return [_stage(path) for path in found if path.is_dir()]


def _stage(folder: Path) -> _Stage:
    text = next((folder / "metadata").glob("part-*")).read_text()
    saved = json.loads(text)
    return _Stage(saved["class"].rsplit(".", 1)[-1], {**saved["defaultParamMap"], **saved["paramMap"]}, folder)


def _read_indexer(stage: _Stage, made: dict[str, Any]) -> None:
    if stage.parameters["handleInvalid"] != "keep":
        raise UnsupportedPipelineError("a StringIndexer is converted with handleInvalid=keep alone")
    for source, target, labels in zip(
        stage.columns("input"), stage.columns("output"), stage.data["labelsArray"], strict=True
    ):
        made[target] = (source, labels)


def _read_encoder(stage: _Stage, made: dict[str, Any]) -> None:
    for source, target, size in zip(
        stage.columns("input"), stage.columns("output"), stage.data["categorySizes"], strict=True
    ):
        # Without dropLast the unseen value has a weight of its own; nobody asked for that yet.
        if not stage.parameters["dropLast"] or size != len(made[source][1]) + 1:
            raise UnsupportedPipelineError("a OneHotEncoder is converted with dropLast, after an indexer that keeps")
        made[target] = made[source]


def _read_imputer(stage: _Stage, made: dict[str, Any]) -> None:
    fillers = stage.data
    for source, target in zip(stage.columns("input"), stage.columns("output"), strict=True):
        made[target] = (source, float(fillers[source]))


def _read_assembler(stage: _Stage, made: dict[str, Any]) -> None:
    made[stage.parameters["outputCol"]] = [made.get(name, (name, float("nan"))) for name in stage.columns("input")]


_READ = {
    "StringIndexerModel": _read_indexer,
    "OneHotEncoderModel": _read_encoder,
    "ImputerModel": _read_imputer,
    "VectorAssembler": _read_assembler,
}


def _linear(stage: _Stage, parts: list[tuple[str, Any]]) -> LinearModel:
    fitted = stage.data
    if fitted["isMultinomial"]:
        raise UnsupportedPipelineError("a multinomial LogisticRegression is not converted")
    weights = _vector(fitted["coefficientMatrix"], int(fitted["numFeatures"])).tolist()
    categories, numbers = [], []
    for column, about in parts:
        if isinstance(about, list):
            categories.append(Category(column, dict(zip(about, weights, strict=False))))
            weights = weights[len(about) :]
        else:
            numbers.append(Number(column, weights[0], about))
            weights = weights[1:]
    if weights:
        raise UnsupportedPipelineError(f"{len(weights)} weights belong to no column")
    intercept = float(_vector(fitted["interceptVector"], 1)[0])
    return LinearModel(tuple(categories), tuple(numbers), intercept, float(stage.parameters["threshold"]))


def _vector(saved: dict[str, Any], size: int) -> Floats:
    """Return a saved vector, or matrix of one row, dense or sparse (type 0: by row or by column)."""
    if saved["type"] == 1:
        return np.array(saved["values"], dtype=np.float64)
    full = np.zeros(size)
    if "indices" in saved:
        places = saved["indices"]
    elif saved["isTransposed"]:
        places = saved["rowIndices"]
    else:
        places = np.repeat(np.arange(size), np.diff(saved["colPtrs"]))
    full[places] = saved["values"]
    return full
