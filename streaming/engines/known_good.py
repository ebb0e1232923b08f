"""A known-good row for a version that was loaded without one, from the first events that it meets.

Rejected rows pass through the scorer with the features of a row on which it does not throw. Where none was known when
the version was loaded, neither golden rows nor an example nor events of the topic, the input gives one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.models.package import ModelPackage
from streaming.models.seams import Features, FrameScorer
from streaming.models.served import ServedModel
from streaming.scoring.results import result_selections
from streaming.scoring.stages import Outputs
from streaming.scoring.trial import MOST_TRIED

_NO_PREDICTION = c.PREFIX + "no_prediction"


class KnownGoodRows:
    """Remembers the row for the version that was last asked about."""

    def __init__(self) -> None:
        self._proven: tuple[ServedModel, ServedModel] | None = None

    def __call__(self, model: ServedModel, decode: Callable[[], DataFrame]) -> ServedModel:
        """Return the version as it may score a stretch of the input, which ``decode`` reads.

        A stretch without a valid event has nothing to score, and the model is not asked.

        Raises:
            ScoringError: it throws on each of the first valid events.
        """
        if model.scorer.is_proven:
            return model
        if self._proven is None or self._proven[0] is not model:
            settled = _settled(model, decode())
            if not settled.scorer.is_proven:
                return settled
            self._proven = model, settled
        return self._proven[1]


@dataclass(frozen=True)
class Unasked:
    """A :class:`streaming.models.seams.FrameScorer` that leaves the model out: no row has a prediction."""

    scorer: FrameScorer
    package: ModelPackage
    is_proven: bool = False

    def score(self, events: DataFrame) -> DataFrame:
        """Append nulls in the place of the results."""
        frame = events.withColumn(_NO_PREDICTION, F.lit(None).cast("double"))
        names, profile = self.package.signature.names, self.package.profile
        for selection in result_selections(Outputs(_NO_PREDICTION), names, (), profile):
            frame = frame.select(*selection)
        return frame

    def tried(self, features: Features) -> FrameScorer:
        """Try the scorer that is left out."""
        return self.scorer.tried(features)

    def release(self) -> None:
        """Release the scorer that is left out."""
        self.scorer.release()


def _settled(model: ServedModel, decoded: DataFrame) -> ServedModel:
    names = model.package.signature.names
    valid = decoded.where(F.col(c.VERDICT).isNull()).limit(MOST_TRIED + 1)
    rows = valid.select(c.PARTITION, c.OFFSET, *(F.col(quoted(name)) for name in names)).collect()
    cause = ""
    for row in rows[:MOST_TRIED]:
        try:
            return model.proven_by({name: row[name] for name in names})
        except CandidateRefusedError as problem:
            raise ScoringError(str(problem)) from problem
        except ScoringError as problem:
            cause = str(problem)
    if len(rows) > MOST_TRIED:
        raise ScoringError(f"the pipeline throws on each of the first {MOST_TRIED} valid events: {cause}")
    # The valid ones, on which the scorer was seen to throw, are rejected; the others are rejected anyway.
    unasked = replace(model.reference, scorer=Unasked(model.scorer, model.package))
    return unasked.rejecting(tuple((row[c.PARTITION], row[c.OFFSET]) for row in rows))
