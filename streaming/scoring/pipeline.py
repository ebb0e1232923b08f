"""A loaded version: a PipelineModel in the JVM, and where its result stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.models.arrow_types import feature_batch
from streaming.models.profile import ReferenceProfile
from streaming.models.seams import Features, FrameScorer
from streaming.models.signature import Column as SignatureColumn
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode
from streaming.scoring.layout import python_stage_refused
from streaming.scoring.plan import check_plan
from streaming.scoring.results import Selections, as_read, result_selections
from streaming.scoring.sizes import Sizes, measured
from streaming.scoring.stages import Outputs, overwritten
from streaming.spark.jvm import detach
from streaming.spark.ml import load_pipeline, transformed


@dataclass(frozen=True)
class SparkPipeline:
    """A :class:`streaming.models.seams.FrameScorer`: what runs, and where its result stands."""

    session: SparkSession
    stages: tuple[Any, ...]
    """The JVM's stages in order, nested pipelines opened."""
    signature: Signature
    outputs: Outputs
    profile: ReferenceProfile | None = None
    sizes: Sizes = ()
    is_proven: bool = False
    """True where the pipeline was seen not to throw on an event."""

    def score(self, events: DataFrame) -> DataFrame:
        """Score decoded events; see :meth:`streaming.models.seams.FrameScorer.score`."""
        frame = self.transform(events.select("*", *self.as_read))
        for selection in self.results:
            frame = frame.select(*selection)
        return frame

    def transform(self, frame: DataFrame) -> DataFrame:
        """Append the pipeline's columns; lazy, one output row per input row."""
        return transformed(self._with_vectors(frame), self.stages, self.sizes)

    def _with_vectors(self, frame: DataFrame) -> DataFrame:
        """Make vectors of the lists that the stages read as such."""
        vectors = {column.name: column for column in self.signature.columns if column.is_vector}
        if not vectors:
            return frame
        return frame.withColumns({name: _vector(column) for name, column in vectors.items()})

    @cached_property
    def as_read(self) -> list[Column]:
        """Copies of the features that a stage overwrites, to be selected before :meth:`transform`."""
        return as_read(self._overwritten)

    @cached_property
    def results(self) -> Selections:
        """What follows :meth:`transform`, made once."""
        return result_selections(self.outputs, self.signature.names, self._overwritten, self.profile)

    @cached_property
    def _overwritten(self) -> frozenset[str]:
        vectors = {column.name for column in self.signature.columns if column.is_vector}
        return overwritten(self.stages, self.signature) | vectors

    def tried(self, features: Features) -> SparkPipeline:
        """Return the pipeline as proven by an event; see :meth:`streaming.models.seams.FrameScorer.tried`."""
        return self.answers([features])[0]

    def answers(self, events: Sequence[Features]) -> tuple[SparkPipeline, list[Row]]:
        """Return the pipeline as proven by events, its sizes taken from the first, and what came of each.

        Raises:
            CandidateRefusedError: ``UNSAFE_PLAN``.
            ScoringError: it throws, with its own words for it.
        """
        try:
            frame = _feature_frame(self.session, self.signature, events)
            proven = replace(self, sizes=measured(self.stages, self._with_vectors(frame)), is_proven=True)
            check_plan(proven.transform(frame))
        except (PySparkException, Py4JJavaError) as problem:
            raise ScoringError(_cause_of(problem)) from problem
        return proven, answers(self.session, self.signature, proven, events)

    def release(self) -> None:
        """Drop the JVM's references, so that the model's broadcasts can be collected."""
        detach(self.session, self.stages)


def _vector(feature: SignatureColumn) -> Column:
    """Return the vector of a list; its size is in the metadata, as a VectorAssembler would look for it in a row."""
    listed = F.col(quoted(feature.name))
    vector = F.when(listed.isNotNull(), array_to_vector(listed))
    return vector.alias(feature.name, metadata={"ml_attr": {"num_attrs": feature.length}})


def answers(session: SparkSession, signature: Signature, scorer: FrameScorer, events: Sequence[Features]) -> list[Row]:
    """Return what a scorer makes of each event's features, in their order.

    Raises:
        ScoringError: it throws, with its own words for it.
    """
    try:
        rows = scorer.score(_feature_frame(session, signature, events)).collect()
    except (PySparkException, Py4JJavaError) as problem:
        raise ScoringError(_cause_of(problem)) from problem
    return sorted(rows, key=lambda row: row[c.OFFSET])


def load_model(session: SparkSession, uri: str, *, saved_by_python: bool = False) -> Any:
    """Load a saved PipelineModel as a JVM object; pyspark saves nested pipelines in a way that only it reads.

    Raises:
        CandidateRefusedError: the files are not what Spark's loader expects, or a stage is a Python class.
    """
    try:
        return load_pipeline(session, uri, saved_by_python=saved_by_python)
    except Py4JJavaError as problem:
        cause = problem.java_exception.toString().splitlines()[0]
        raise CandidateRefusedError(RefusalCode.CORRUPT_FILES, f"Spark cannot load the pipeline: {cause}") from problem
    except (AttributeError, ImportError) as problem:
        raise python_stage_refused(f"that gives the error {str(problem)!r}") from problem


def _feature_frame(session: SparkSession, signature: Signature, rows: Sequence[Features]) -> DataFrame:
    """Feature rows as a frame that ``score`` takes: the position stands where a record's offset would."""
    features = pa.Table.from_batches([feature_batch(signature, rows)])
    # By way of Arrow, which needs no Python worker: a failure here is the pipeline's.
    frame = session.createDataFrame(features.add_column(0, c.OFFSET, pa.array(range(len(rows)), pa.int64())))
    missing = dict.fromkeys((*c.SOURCE, *c.ENVELOPE), "string") | {c.VERDICT: c.VERDICT_TYPE}
    del missing[c.OFFSET]
    return frame.select("*", *(F.lit(None).cast(kind).alias(name) for name, kind in missing.items()))


def _cause_of(problem: BaseException) -> str:
    """Return the first line of what the JVM or Spark says."""
    text = problem.java_exception.toString() if isinstance(problem, Py4JJavaError) else str(problem)
    return next(iter(str(text).splitlines()), type(problem).__name__)
