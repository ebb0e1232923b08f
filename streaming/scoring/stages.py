"""What a loaded pipeline's stages say of themselves: output columns, and the values they would throw on.

The pipeline is a JVM object; its stages are read through py4j once, when a version is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from streaming.errors import CandidateRefusedError
from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.models.seams import Guard
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode

_SCALAR = ("StringIndexerModel", "Bucketizer", "ImputerModel")
"""Stages that give a number for each of their input columns."""

Elements = dict[str, list[str | None]]
"""The raw column that each element of a column is, ``None`` for one that was computed; empty if they are not known.

Names are in lower case, as Spark does not tell cases apart.
"""


@dataclass(frozen=True)
class Outputs:
    """The columns in which the last predicting stage leaves its result; ``None`` where it has none."""

    prediction: str
    probability: str | None = None
    label: str | None = None


def flatten(model: Any) -> tuple[Any, ...]:
    """Return the pipeline's stages in order, nested pipelines and tuned models opened."""
    return tuple(_open(model))


def _open(model: Any) -> Iterator[Any]:
    name = class_name(model)
    if name == "org.apache.spark.ml.PipelineModel":
        for stage in model.stages():
            yield from _open(stage)
    elif name.startswith("org.apache.spark.ml.tuning."):
        yield from _open(model.bestModel())
    else:
        yield model


def class_name(stage: Any) -> str:
    """Return the JVM class's full name."""
    return str(stage.getClass().getName())


def outputs(stages: tuple[Any, ...]) -> Outputs:
    """Find the last stage that predicts, and what decodes its prediction.

    Raises:
        CandidateRefusedError: no stage has a prediction column.
    """
    for position in range(len(stages) - 1, -1, -1):
        prediction = param(stages[position], "predictionCol")
        if prediction:
            label = _decoded_label(stages[position + 1 :], str(prediction))
            return Outputs(str(prediction), param(stages[position], "probabilityCol") or None, label)
    raise CandidateRefusedError(
        RefusalCode.NO_PREDICTION,
        "no stage has a prediction column; end the pipeline with a classifier, regressor or clusterer",
    )


def _decoded_label(later: tuple[Any, ...], prediction: str) -> str | None:
    for stage in later:
        if class_name(stage).endswith(".IndexToString") and param(stage, "inputCol") == prediction:
            return str(param(stage, "outputCol"))
    return None


def overwritten(stages: tuple[Any, ...], signature: Signature) -> frozenset[str]:
    """Return the features that a stage writes into, such as an Imputer's; Spark does not tell cases apart."""
    written = {name.lower() for stage in stages for name in _columns(stage, "outputCol", "outputCols")}
    return frozenset(name for name in signature.names if name.lower() in written)


def guards(stages: tuple[Any, ...], signature: Signature) -> tuple[Guard, ...]:
    """Return what must hold of the raw columns for the stages not to throw on a row."""
    elements: Elements = {name.lower(): [name] for name in signature.names}
    rules: list[Guard] = []
    for stage in _formulas_opened(stages):
        rules += [*_stage_guards(stage, elements), *_vector_guards(stage, elements)]
        elements.update(_output_elements(stage, elements))
    return tuple(dict.fromkeys(rules))


def _formulas_opened(stages: tuple[Any, ...]) -> Iterator[Any]:
    for stage in stages:
        if class_name(stage).endswith(".RFormulaModel"):
            yield from _formulas_opened(flatten(stage.pipelineModel()))
        else:
            yield stage


def _stage_guards(stage: Any, elements: Elements) -> Iterator[Guard]:
    kind = class_name(stage).rsplit(".", 1)[-1]
    strict = param(stage, "handleInvalid") == "error"
    for position, column in enumerate(_inputs(stage)):
        name = next(iter(elements.get(column.lower(), [])), None)
        if name is None or name.lower() != column.lower():
            continue  # computed by an earlier stage
        if strict:
            yield NotNull(name)
        if kind == "StringIndexerModel" and strict:
            yield InVocabulary(name, tuple(stage.labelsArray()[position]))
        elif kind == "OneHotEncoderModel" and strict:
            yield InRange(name, 0.0, float(stage.categorySizes()[position]), open_end=True)
        elif kind == "Bucketizer":
            # Also with ``keep``, which is about NaN and null alone.
            yield _range_of(name, _splits(stage, position))


def _splits(bucketizer: Any, position: int) -> list[float]:
    several = param(bucketizer, "splitsArray")
    return [float(split) for split in (param(bucketizer, "splits") if several is None else several[position])]


def _range_of(name: str, splits: list[float]) -> InRange:
    first = splits[0]
    return InRange(name, first, splits[-1], zero_below=first == 0.0 and math.copysign(1.0, first) > 0)


def _output_elements(stage: Any, elements: Elements) -> Elements:
    outputs, kind = _columns(stage, "outputCol", "outputCols"), class_name(stage).rsplit(".", 1)[-1]
    if kind != "VectorAssembler":
        return {name.lower(): [None] if kind in _SCALAR else [] for name in outputs}
    parts = [elements.get(name.lower(), []) for name in _inputs(stage)]
    return {outputs[0].lower(): list(chain.from_iterable(parts)) if all(parts) else []}


def _vector_guards(stage: Any, elements: Elements) -> Iterator[Guard]:
    if not class_name(stage).endswith(".VectorIndexerModel") or param(stage, "handleInvalid") != "error":
        return
    categories = stage.javaCategoryMaps()
    for position, name in enumerate(elements.get(str(param(stage, "inputCol")).lower(), [])):
        if name is not None and categories.containsKey(position):
            yield InCategories(name, tuple(sorted(float(value) for value in categories.get(position).keySet())))


def _inputs(stage: Any) -> list[str]:
    return _columns(stage, "inputCol", "inputCols")


def _columns(stage: Any, single: str, several: str) -> list[str]:
    column, columns = param(stage, single), param(stage, several)
    return [str(name) for name in columns] if columns is not None else [str(column)] if column is not None else []


def param(stage: Any, name: str) -> Any:
    """Return a parameter's value, set or default, or ``None`` where the stage has no such parameter or value."""
    if not stage.hasParam(name):
        return None
    declared = stage.getParam(name)
    return stage.getOrDefault(declared) if stage.isDefined(declared) else None


def input_columns(stage: Any) -> list[str]:
    """Return the columns that a stage reads, by its own parameters."""
    return _inputs(stage)


def output_columns(stage: Any) -> list[str]:
    """Return the columns that a stage writes, by its own parameters."""
    return _columns(stage, "outputCol", "outputCols")
