"""A compiled pipeline for events that come one by one: the answers of the batch's program, without Arrow and its price.

A stage that is not among :data:`ROW_BUILDERS` sees the row as a batch of one, so that every program has such a form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from streaming.errors import ScoringError
from streaming.scoring.compiled import row_features, row_models
from streaming.scoring.compiled.program import event_kinds
from streaming.scoring.compiled.row_values import Row, RowColumns, RowStep, RowUnfitError
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.scope import Apply, Scope
from streaming.scoring.compiled.scorer import CompiledScorer
from streaming.scoring.compiled.values import Kind

ROW_BUILDERS: Mapping[str, Callable[[Scope], RowStep | None]] = {
    f"org.apache.spark.ml.{name}": build
    for name, build in {
        "feature.ImputerModel": row_features.imputer,
        "feature.IndexToString": row_features.index_to_string,
        "feature.OneHotEncoderModel": row_features.one_hot_encoder,
        "feature.StringIndexerModel": row_features.string_indexer,
        "feature.VectorAssembler": row_features.vector_assembler,
        "classification.DecisionTreeClassificationModel": row_models.tree_classifier,
        "classification.GBTClassificationModel": row_models.boosted_classifier,
        "classification.LinearSVCModel": row_models.linear_svc,
        "classification.LogisticRegressionModel": row_models.logistic_regression,
        "classification.RandomForestClassificationModel": row_models.tree_classifier,
        "regression.DecisionTreeRegressionModel": row_models.tree_regression,
        "regression.GBTRegressionModel": row_models.boosted_regression,
        "regression.LinearRegressionModel": row_models.linear_regression,
        "regression.RandomForestRegressionModel": row_models.tree_regression,
    }.items()
}
"""A saved stage's class to what makes its step over a row; ``None`` where it has none over these columns."""


class ModelAnswer(NamedTuple):
    """What a model says of an event; ``label`` and ``probability`` are ``None`` where it gives none."""

    prediction: float
    label: str | None
    probability: list[float] | None


@dataclass(frozen=True)
class RowProgram:
    """A pipeline over one event; ``features`` are the columns that it reads, each with its name in lower case.

    The other names are those of :class:`streaming.scoring.compiled.scorer.CompiledScorer`.
    """

    features: tuple[tuple[str, str, bool], ...]
    """(name, name in lower case, is text)."""
    steps: tuple[RowStep, ...]
    prediction: str
    probability: str
    label: str

    def answer(self, features: Mapping[str, Any]) -> ModelAnswer | None:
        """Return what the model says of a valid event.

        Args:
            features: by the names of the signature; ``None`` where an optional one is missing.

        Returns:
            ``None`` where the model throws, or gives no number or one that is not finite: a batch says what becomes of
            such an event.
        """
        row: Row = {}
        for name, lower, is_text in self.features:
            value = features[name]
            row[lower] = value if is_text or value is None else float(value)
        try:
            # Numpy would warn where Spark gives an infinity or NaN without a word.
            with np.errstate(all="ignore"):
                for step in self.steps:
                    step(row)
        except (RowUnfitError, ScoringError):
            return None
        return _finite(row[self.prediction], row.get(self.label), row.get(self.probability))


def _finite(prediction: float | None, label: str | None, probability: list[float] | None) -> ModelAnswer | None:
    if prediction is None or not math.isfinite(prediction):
        return None
    if probability is not None and not all(map(math.isfinite, probability)):
        return None
    return ModelAnswer(prediction, label, probability)


def row_program(scorer: CompiledScorer) -> RowProgram:
    """Return a scorer's program for single events.

    Raises:
        StageUnreadableError: the files of a stage have changed since the scorer was loaded.
    """
    program = scorer.program
    kinds = event_kinds(program.schema)
    return RowProgram(
        features=tuple((field.name, field.name.lower(), _is_text(kinds, field.name)) for field in program.schema),
        steps=tuple(map(_step, program.stages, program.before, program.steps)),
        prediction=scorer.prediction.lower(),
        probability=scorer.probability.lower(),
        label=scorer.label.lower(),
    )


def _is_text(kinds: Mapping[str, Kind], name: str) -> bool:
    return kinds[name.lower()].family == "text"


def _step(stage: SavedStage, before: Mapping[str, Kind], apply: Apply) -> RowStep:
    build = ROW_BUILDERS.get(stage.kind)
    step = None if build is None else build(Scope(stage, dict(before)))
    return _as_batch(apply) if step is None else step


def _as_batch(apply: Apply) -> RowStep:
    return lambda row: apply(RowColumns(row))
