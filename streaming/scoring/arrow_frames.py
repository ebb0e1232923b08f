"""A scorer of one process for frames: Spark hands the features to a Python worker, which answers.

Only the features go to the worker and only the answers come back, so what else a row has stays in the JVM. It is the
reference of versions that Spark cannot score. ``batch`` scores tables by it, also where a pipeline of Spark's is
compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from streaming.events import columns as c
from streaming.events.columns import RESULTS
from streaming.events.rules import quoted
from streaming.lookup_state import LookupState
from streaming.models.profile import ReferenceProfile
from streaming.models.seams import ArrowScorer, Features, RowPass
from streaming.models.signature import Signature
from streaming.scoring.pipeline import answers
from streaming.scoring.results import judged

_ANSWER = c.PREFIX + "answer"


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
        features = F.struct(*(F.col(quoted(name)) for name in self.signature.names))
        answered = events.withColumn(_ANSWER, _answering(self.scorer)(features)).select("*", f"{_ANSWER}.*")
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


def scored_over(records: DataFrame, row_pass: RowPass, schema: pa.Schema, at: LookupState | None = None) -> DataFrame:
    """Return a frame of records, scored by a row pass in Python workers; lazy.

    Args:
        records: of Kafka; see :meth:`streaming.models.seams.RowPass.over`.
        row_pass: is pickled for every task.
        schema: the columns of what the pass returns.
        at: the lookup table's state, where columns are looked up.
    """
    scored = partial(_scored, row_pass, schema.names, at)
    return records.select(*c.RECORD).mapInArrow(scored, from_arrow_schema(schema))


def _scored(
    row_pass: RowPass, names: list[str], at: LookupState | None, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield row_pass.score(batch, at).select(names)


def _answering(scorer: ArrowScorer) -> Callable[[Column], Column]:
    """Close over the scorer and nothing else: what a closure holds is pickled for every task."""

    def answer(features: pa.Array) -> pa.Array:
        return scorer.score(pa.RecordBatch.from_struct_array(features)).to_struct_array()

    function = F.arrow_udf(answer, from_arrow_schema(RESULTS))  # type: ignore[attr-defined]  # not in its stubs
    # Otherwise Spark may compute it once for each column that is taken from the answer.
    made: Callable[[Column], Column] = function.asNondeterministic()
    return made
