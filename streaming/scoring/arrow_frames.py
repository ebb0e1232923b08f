"""A scorer of one process for the engines: each task hands its events to a Python worker, which adds the answers.

No loader makes one: the exact engine runs a row pass, which does more in one step. The contract of scorers and that of
batch programs hold for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from streaming.events.columns import RESULTS
from streaming.models.arrow_types import feature_batch
from streaming.models.profile import ReferenceProfile
from streaming.models.seams import ArrowScorer, Features
from streaming.models.signature import Signature
from streaming.scoring.results import judged

_Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class ArrowFrames:
    """A :class:`streaming.models.seams.FrameScorer` made of an ``ArrowScorer``, which is pickled for every task."""

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
        self.scorer.score(feature_batch(self.signature, [features]))
        return replace(self, is_proven=True)

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
