"""A known-good row for a version that was loaded without one, from the first events that it meets.

Rejected rows pass through the pipeline with the features of a row on which it does not throw. Where none was known when
the version was loaded, neither golden rows nor an example nor events of the topic, the input gives one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.events.rules import Poison, quoted
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.trial import MOST_TRIED, try_events


class KnownGoodRows:
    """Remembers the row for the version that was last asked about."""

    def __init__(self) -> None:
        self._proven: tuple[SparkPipeline, SparkPipeline] | None = None

    def __call__(self, pipeline: SparkPipeline, decode: Callable[[], DataFrame]) -> SparkPipeline:
        """Return the pipeline as it may score a stretch of the input, which ``decode`` reads.

        A stretch without a valid event has nothing to score, and the model is not asked.

        Raises:
            ScoringError: it throws on each of the first valid events.
        """
        if pipeline.is_proven:
            return pipeline
        if self._proven is None or self._proven[0] is not pipeline:
            settled = _settled(pipeline, decode())
            if not settled.is_proven:
                return settled
            self._proven = pipeline, settled
        return self._proven[1]


class Unasked(SparkPipeline):
    """A pipeline that leaves the model out: no row has a prediction."""

    def transform(self, frame: DataFrame) -> DataFrame:
        """Append nulls in the place of the results; of the probability, which must not be null, an empty vector."""
        results: list[tuple[str | None, Column]] = [
            (self.outputs.prediction, F.lit(None).cast("double")),
            (self.outputs.probability, array_to_vector(F.array().cast("array<double>"))),
            (self.outputs.label, F.lit(None).cast("string")),
        ]
        return frame.select("*", *(value.alias(name) for name, value in results if name))


def _settled(pipeline: SparkPipeline, decoded: DataFrame) -> SparkPipeline:
    names = pipeline.decoder.signature.names
    valid = decoded.where(F.col(c.VERDICT).isNull()).limit(MOST_TRIED + 1)
    rows = valid.select(c.PARTITION, c.OFFSET, *(F.col(quoted(name)) for name in names)).collect()
    cause = ""
    for row in rows[:MOST_TRIED]:
        try:
            return try_events(pipeline, [{name: row[name] for name in names}])[0]
        except CandidateRefusedError as problem:
            raise ScoringError(str(problem)) from problem
        except ScoringError as problem:
            cause = str(problem)
    if len(rows) > MOST_TRIED:
        raise ScoringError(f"the pipeline throws on each of the first {MOST_TRIED} valid events: {cause}")
    return _unasked(pipeline, tuple((row[c.PARTITION], row[c.OFFSET]) for row in rows))


def _unasked(pipeline: SparkPipeline, poison: Poison) -> SparkPipeline:
    """Return what scores none of the rows; ``poison`` are the valid ones, on which the pipeline was seen to throw."""
    without = Unasked(**{field.name: getattr(pipeline, field.name) for field in fields(pipeline)})
    return replace(without, decoder=replace(pipeline.decoder, poison=poison))
