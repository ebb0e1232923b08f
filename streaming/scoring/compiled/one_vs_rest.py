"""One classifier of two classes for each class; the surest one wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.classes import largest, named
from streaming.scoring.compiled.saved import SavedStage, read_stages
from streaming.scoring.compiled.scope import Apply, Columns, Scope
from streaming.scoring.compiled.values import Kind

Build = Callable[[SavedStage, dict[str, Kind]], Apply]
"""A saved stage and what the columns before it hold, to its step."""
RAW = "__penstock_raw"
"""The column into which each classifier writes its raw numbers."""


def one_vs_rest(scope: Scope, build: Build) -> Apply:
    """``OneVsRestModel``: the raw number that each classifier has for its own class."""
    stage, raw, prediction = scope.stage, named(scope, "rawPredictionCol"), named(scope, "predictionCol")
    if not raw:
        raise scope.refused("it has no rawPredictionCol, and then equal classes come in the order of Scala's maps")
    source = stage.text("featuresCol")
    scope.rows(source)
    steps = []
    for model in class_models(stage, source):
        kinds = dict(scope.kinds)
        steps.append(build(model, kinds))
        if kinds[RAW].size != 2:
            raise stage.unreadable(f"its classifier {model.uid} does not tell two classes")
    scope.put(raw, Kind("vector", pa.float64(), len(steps)))
    if prediction:
        scope.put_number(prediction, nominal=True)

    def apply(columns: Columns) -> None:
        features = columns.summands(source)
        margins = np.empty((columns.rows, len(steps)))
        for position, step in enumerate(steps):
            inner = Columns({source: features}, columns.rows)
            step(inner)
            margins[:, position] = inner.vector(RAW)[:, 1]
        columns.put(raw, margins)
        if prediction:
            columns.put_numbers(prediction, largest(margins))

    return apply


def class_models(stage: SavedStage, source: str) -> list[SavedStage]:
    """Return the classifiers in the order of their classes, set to read ``source`` and to write raw numbers alone."""
    folders = sorted(stage.folder.glob("model_*"), key=lambda folder: int(folder.name.removeprefix("model_")))
    if not folders or [folder.name for folder in folders] != [f"model_{number}" for number in range(len(folders))]:
        raise stage.unreadable("its classifiers are not numbered from 0")
    own = {"featuresCol": source, "rawPredictionCol": RAW, "probabilityCol": "", "predictionCol": ""}
    models = [read_stages(folder) for folder in folders]
    if any(len(stages) != 1 for stages in models):
        raise stage.unreadable("a classifier of it is not one model")
    return [replace(stages[0], parameters={**stages[0].parameters, **own}) for stages in models]
