"""A compiled pipeline as an :class:`streaming.models.seams.ArrowScorer`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from streaming.errors import StageNotCompiledError
from streaming.events.columns import RESULTS
from streaming.scoring.compiled.program import Program, compile_pipeline
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.values import Floats

_LABELS = "org.apache.spark.ml.feature.IndexToString"


@dataclass(frozen=True)
class CompiledScorer:
    """A program and the columns in which its result stands; empty names where it has none."""

    program: Program
    prediction: str
    probability: str
    label: str

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Score a batch; see :class:`streaming.models.seams.ArrowScorer`."""
        columns = self.program.run(events)
        nothing = {field.name: pa.nulls(columns.rows, field.type) for field in RESULTS}
        probability, label, confidence = (nothing[name] for name in RESULTS.names[1:])
        if self.probability:
            rows = columns.vector(self.probability)
            probability, confidence = _lists(rows), pa.array(_largest(rows))
        if self.label:
            label = columns.text(self.label)
        numbers = columns.number(self.prediction)
        return pa.record_batch([pa.array(numbers.values, mask=numbers.nulls), probability, label, confidence], RESULTS)


def _lists(rows: Floats) -> pa.ListArray:
    starts = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(rows.ravel()))


def _largest(rows: Floats) -> Floats:
    """``array_max`` of Spark, for which NaN is greater than every number."""
    return np.asarray(rows.max(axis=1))


def load_scorer(folder: Path, schema: pa.Schema) -> CompiledScorer:
    """Return the scorer of a saved pipeline over events of ``schema``.

    Raises:
        StageNotCompiledError: a stage has no compiled form, or none predicts; ``auto`` serves such a version by Spark.
        StageUnreadableError: files are damaged, or laid out in an unknown way.
    """
    program = compile_pipeline(folder, schema)
    for position in range(len(program.stages) - 1, -1, -1):
        prediction = _parameter(program.stages[position], "predictionCol")
        if prediction:
            probability = _parameter(program.stages[position], "probabilityCol")
            return CompiledScorer(program, prediction, probability, _label(program.stages[position + 1 :], prediction))
    raise StageNotCompiledError(folder.name, "", "no stage has a prediction column")


def _parameter(stage: SavedStage, name: str) -> str:
    return stage.text(name) if stage.has(name) else ""


def _label(later: tuple[SavedStage, ...], prediction: str) -> str:
    decoders = (stage for stage in later if stage.kind == _LABELS and stage.text("inputCol") == prediction)
    return next((stage.text("outputCol") for stage in decoders), "")
