"""A scorer of one process for the engines: each task hands its events to a Python worker, which adds the answers.

It is the reference of versions that Spark cannot score. Where it can, the exact engine runs a row pass, which does more
in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from streaming.events.columns import RESULTS
from streaming.models.profile import ReferenceProfile
from streaming.models.seams import ArrowScorer, Features
from streaming.models.signature import Signature
from streaming.scoring.pipeline import answers
from streaming.scoring.results import judged

_Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class ArrowFrames:
    """A :class:`streaming.models.seams.FrameScorer` made of an ``ArrowScorer``, which is pickled for every task."""

    session: SparkSession
    scorer: ArrowScorer
    signature: Signature
    profile: ReferenceProfile | None = None
    is_proven: bool = False

    def score(self, events: DataFrame) -> DataFrame:
        """Score decoded events; see :meth:`streaming.models.seams.FrameScorer.score`."""
        schema = StructType([*events.schema.fields, *from_arrow_schema(RESULTS).fields])
        answered = events.mapInArrow(_answering(self.scorer, self.signature.names), schema)
        return answered.select(*judged(self.signature.names, self.profile))

    def tried(self, features: Features) -> ArrowFrames:
        """Return the scorer as proven by an event; see :meth:`streaming.models.seams.FrameScorer.tried`."""
        return self.answers([features])[0]

    def answers(self, events: Sequence[Features]) -> tuple[ArrowFrames, list[Row]]:
        """Return the scorer as proven by events, and what came of each, by a worker; the driver scores nothing.

        Raises:
            ScoringError: it throws, with its own words for it.
        """
        rows = answers(self.session, self.signature, self, events)
        return replace(self, is_proven=True), rows

    def release(self) -> None:
        """Nothing is held in the cluster."""


def _answering(scorer: ArrowScorer, features: tuple[str, ...]) -> Callable[[_Batches], _Batches]:
    """Close over these and nothing else: what a closure holds is pickled for every task."""

    def answer(batches: _Batches) -> _Batches:
        for batch in batches:
            answers = scorer.score(batch.select(list(features)))
            names = [*batch.schema.names, *answers.schema.names]
            yield pa.RecordBatch.from_arrays([*batch.columns, *answers.columns], names)

    return answer
