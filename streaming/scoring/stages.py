"""What a loaded pipeline's stages say of themselves: output columns, and the values they would throw on.

The pipeline is a JVM object; its stages are read through py4j once, when a version is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streaming.errors import CandidateRefusedError
from streaming.events.guards import Guard, InRange, InVocabulary, NotNull
from streaming.models.signature import Signature


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
        "NO_PREDICTION",
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
    produced: set[str] = set()
    found: list[Guard] = []
    for stage in stages:
        raw = [name for name in _inputs(stage) if name in signature.names and name not in produced]
        found += _stage_guards(stage, raw)
        produced.update(_columns(stage, "outputCol", "outputCols"))
    return tuple(dict.fromkeys(found))


def _stage_guards(stage: Any, raw: list[str]) -> Iterator[Guard]:
    if param(stage, "handleInvalid") != "error":
        return
    kind = class_name(stage).rsplit(".", 1)[-1]
    for name in raw:
        yield NotNull(name)
        if kind == "StringIndexerModel":
            position = _columns(stage, "inputCol", "inputCols").index(name)
            yield InVocabulary(name, tuple(stage.labelsArray()[position]))
        elif kind == "Bucketizer" and param(stage, "splits") is not None:
            splits = list(param(stage, "splits"))
            yield InRange(name, float(splits[0]), float(splits[-1]))


def _inputs(stage: Any) -> list[str]:
    return _columns(stage, "inputCol", "inputCols")


def _columns(stage: Any, single: str, several: str) -> list[str]:
    one, many = param(stage, single), param(stage, several)
    return [str(name) for name in many] if many is not None else [str(one)] if one is not None else []


def param(stage: Any, name: str) -> Any:
    """Return a parameter's value, set or default, or ``None`` where the stage has no such parameter or value."""
    if not stage.hasParam(name):
        return None
    declared = stage.getParam(name)
    return stage.getOrDefault(declared) if stage.isDefined(declared) else None
