"""Read a saved Spark pipeline's parameters from its files, without Spark: the demonstration's kind, and no other.

That is StringIndexer (keep), OneHotEncoder, Imputer, VectorAssembler and a binary LogisticRegression over any columns.
One-hot encoding and a dot product are together a sum of one weight per category, and so they are kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streaming.scoring.compiled.fitted import matrix, vector
from streaming.scoring.compiled.saved import SavedStage, read_stages
from streaming.scoring.compiled.values import Floats


class UnsupportedPipelineError(ValueError):
    """The pipeline has a stage, or a parameter of one, that is not converted."""


@dataclass(frozen=True)
class Category:
    """A text column: the weight of each known value; a value never seen at training weighs nothing."""

    column: str
    weights: dict[str, float]


@dataclass(frozen=True)
class NumericInput:
    """A numeric column, its weight, and what stands in for a missing value (NaN: nothing does)."""

    column: str
    weight: float
    filler: float


@dataclass(frozen=True)
class LinearModel:
    """A binary logistic regression over text and numeric columns."""

    categories: tuple[Category, ...]
    numbers: tuple[NumericInput, ...]
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


def read_pipeline(folder: Path) -> LinearModel:
    """Return the model of a saved ``PipelineModel``.

    Raises:
        UnsupportedPipelineError: it has another stage, or a parameter that is not converted.
        StageUnreadableError: its files are damaged.
    """
    made: dict[str, Any] = {}
    for stage in read_stages(folder):
        kind = stage.kind.rsplit(".", 1)[-1]
        if kind == "LogisticRegressionModel":
            return _linear(stage, made[stage.text("featuresCol")])
        if kind not in _READ:
            raise UnsupportedPipelineError(f"{kind} in {folder} is not converted")
        _READ[kind](stage, made)
    raise UnsupportedPipelineError(f"{folder} has no logistic regression")


def _read_indexer(stage: SavedStage, made: dict[str, Any]) -> None:
    if stage.parameters["handleInvalid"] != "keep":
        raise UnsupportedPipelineError("a StringIndexer is converted with handleInvalid=keep alone")
    for source, target, labels in zip(
        stage.columns("input"), stage.columns("output"), stage.row()["labelsArray"], strict=True
    ):
        made[target] = (source, labels)


def _read_encoder(stage: SavedStage, made: dict[str, Any]) -> None:
    for source, target, size in zip(
        stage.columns("input"), stage.columns("output"), stage.row()["categorySizes"], strict=True
    ):
        # Without dropLast the unseen value has a weight of its own; nobody asked for that yet.
        if not stage.parameters["dropLast"] or size != len(made[source][1]) + 1:
            raise UnsupportedPipelineError("a OneHotEncoder is converted with dropLast, after an indexer that keeps")
        made[target] = made[source]


def _read_imputer(stage: SavedStage, made: dict[str, Any]) -> None:
    fillers = stage.row()
    for source, target in zip(stage.columns("input"), stage.columns("output"), strict=True):
        made[target] = (source, float(fillers[source]))


def _read_assembler(stage: SavedStage, made: dict[str, Any]) -> None:
    made[stage.parameters["outputCol"]] = [made.get(name, (name, float("nan"))) for name in stage.columns("input")]


_READ = {
    "StringIndexerModel": _read_indexer,
    "OneHotEncoderModel": _read_encoder,
    "ImputerModel": _read_imputer,
    "VectorAssembler": _read_assembler,
}


def _linear(stage: SavedStage, parts: list[tuple[str, Any]]) -> LinearModel:
    fitted = stage.row()
    if fitted["isMultinomial"]:
        raise UnsupportedPipelineError("a multinomial LogisticRegression is not converted")
    weights = matrix(stage, fitted, "coefficientMatrix")[0].tolist()
    categories, numbers = [], []
    for column, about in parts:
        if isinstance(about, list):
            categories.append(Category(column, dict(zip(about, weights, strict=False))))
            weights = weights[len(about) :]
        else:
            numbers.append(NumericInput(column, weights[0], about))
            weights = weights[1:]
    if weights:
        raise UnsupportedPipelineError(f"{len(weights)} weights belong to no column")
    intercept = float(vector(stage, fitted, "interceptVector", 1)[0])
    return LinearModel(tuple(categories), tuple(numbers), intercept, float(stage.parameters["threshold"]))
