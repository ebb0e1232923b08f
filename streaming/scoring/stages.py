"""What a loaded pipeline's stages say of themselves: output columns, and the values they would throw on.

The pipeline is a JVM object; its stages are read through py4j once, when a version is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streaming.errors import CandidateRefusedError
from streaming.models.seams import Guard
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode
from streaming.scoring.guarding import guards_of


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
    return guards_of(map(_LoadedFacts, _formulas_opened(stages)), signature)


def _formulas_opened(stages: tuple[Any, ...]) -> Iterator[Any]:
    for stage in stages:
        if class_name(stage).endswith(".RFormulaModel"):
            yield from _formulas_opened(flatten(stage.pipelineModel()))
        else:
            yield stage


@dataclass(frozen=True)
class _LoadedFacts:
    """The :class:`streaming.scoring.guarding.StageFacts` of a stage in the JVM."""

    stage: Any

    @property
    def kind(self) -> str:
        return class_name(self.stage).rsplit(".", 1)[-1]

    @property
    def inputs(self) -> list[str]:
        return _inputs(self.stage)

    @property
    def outputs(self) -> list[str]:
        return output_columns(self.stage)

    @property
    def strict(self) -> bool:
        return bool(param(self.stage, "handleInvalid") == "error")

    def labels(self, position: int) -> list[str]:
        return list(self.stage.labelsArray()[position])

    def category_size(self, position: int) -> float:
        return float(self.stage.categorySizes()[position])

    def splits(self, position: int) -> list[float]:
        several = param(self.stage, "splitsArray")
        chosen = param(self.stage, "splits") if several is None else several[position]
        return [float(split) for split in chosen]

    def categories(self) -> dict[int, list[float]]:
        maps = self.stage.javaCategoryMaps()
        return {int(element): [float(value) for value in maps.get(element).keySet()] for element in maps.keySet()}


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
