"""A compiled pipeline as an :class:`streaming.models.seams.ArrowScorer`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from streaming.errors import StageNotCompiledError
from streaming.scoring.compiled.answers import answer_batch
from streaming.scoring.compiled.program import Program, compile_pipeline
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.scope import Columns

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
        return self._answers(self.program.run(events))

    def score_read(self, events: Columns) -> pa.RecordBatch:
        """Do the same with events whose columns have been read, by the program's schema."""
        return self._answers(self.program.completed(events))

    def _answers(self, columns: Columns) -> pa.RecordBatch:
        numbers = columns.number(self.prediction)
        return answer_batch(
            pa.array(numbers.values, mask=numbers.nulls),
            columns.vector(self.probability) if self.probability else None,
            columns.text(self.label) if self.label else None,
        )


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
