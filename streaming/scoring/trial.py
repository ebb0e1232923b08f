"""A version tried on events before it serves: golden rows, an example, an event made up, recent events of the topic.

The event on which the pipeline is seen not to throw stands in for rejected ones from then on, and tells the sizes of
the pipeline's vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import structlog
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.models.arrow_types import ARROW_TYPES
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.plan import check_plan
from streaming.scoring.score import score_decoded
from streaming.scoring.sizes import measured

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST_TRIED = 10
"""Events of one source that may throw, one after the other, before the version is taken to throw on all of them."""

Features = Mapping[str, Any]

_HEADERS = "array<struct<key:string,value:binary>>"


@dataclass(frozen=True)
class Source:
    """Where trial events come from. A version is refused for throwing on ``real`` ones alone."""

    name: str
    events: Callable[[], Sequence[Features]]
    real: bool = True


def prove_golden(pipeline: SparkPipeline, golden: GoldenRows) -> SparkPipeline:
    """Return the pipeline with its first golden row as its safe row.

    Raises:
        CandidateRefusedError: ``TRIAL_FAILED``, it throws on one; ``GOLDEN_ROW_FAILED``, an answer differs;
            ``UNSAFE_PLAN``.
    """
    first = golden.rows[0].features
    safe = {name: first.get(name, value) for name, value in pipeline.decoder.safe_row.items()}
    try:
        proven, results = try_events(pipeline, [safe, *(row.features for row in golden.rows)])
    except ScoringError as problem:
        raise CandidateRefusedError(
            RefusalCode.TRIAL_FAILED, f"the pipeline throws on the golden rows that were logged with it: {problem}"
        ) from problem
    for row, result in zip(golden.rows, results[1:], strict=True):
        _compare(row, result, golden.tolerance)
    return proven


def prove(pipeline: SparkPipeline, sources: Iterable[Source]) -> SparkPipeline:
    """Return the pipeline with the first event on which it does not throw as its safe row.

    Where it throws and no event was a real one, nothing is known, and the pipeline comes back as it was: unproven.

    Raises:
        CandidateRefusedError: ``TRIAL_FAILED``, it throws on all of them; ``UNSAFE_PLAN``.
    """
    thrown: list[tuple[Source, str]] = []
    for source in sources:
        for features in source.events()[:MOST_TRIED]:
            try:
                return try_events(pipeline, [features])[0]
            except ScoringError as problem:
                thrown.append((source, str(problem)))
    for source, cause in thrown:
        if source.real:
            raise CandidateRefusedError(RefusalCode.TRIAL_FAILED, f"the pipeline throws on {source.name}: {cause}")
    _log.warning(
        "the pipeline throws on the event that was made up to try it with; it is loaded, and tried on the first valid"
        " event that comes. Log it with an input_example or golden rows to have it tried before it serves",
        cause="; ".join(cause for _, cause in thrown),
    )
    return pipeline


def valid_features(pipeline: SparkPipeline, values: Sequence[bytes]) -> list[Features]:
    """Return the features of the first events that the pipeline's decoder takes."""
    if not values:
        return []
    session = pipeline.session
    table = pa.table({"value": pa.array(values, pa.binary()), "offset": pa.array(range(len(values)), pa.int64())})
    absent = {"key": "binary", "headers": _HEADERS, "partition": "int", "timestamp": "timestamp"}
    nulls = [F.lit(None).cast(kind).alias(name) for name, kind in absent.items()]
    decoded = pipeline.decoder(session.createDataFrame(table).select("*", *nulls))
    valid = decoded.where(F.col(c.VERDICT).isNull()).limit(MOST_TRIED)
    names = pipeline.decoder.signature.names
    return [row.asDict() for row in valid.select(*(F.col(quoted(name)) for name in names)).collect()]


def try_events(pipeline: SparkPipeline, events: Sequence[Features]) -> tuple[SparkPipeline, list[Row]]:
    """Return the pipeline with the first event as its safe row and sizes to match, and what came of each event.

    Raises:
        CandidateRefusedError: ``UNSAFE_PLAN``.
        ScoringError: it throws, with its own words for it.
    """
    try:
        frame = _feature_frame(pipeline.session, pipeline.decoder.signature, events)
        decoder = replace(pipeline.decoder, safe_row=dict(events[0]))
        sizes = measured(pipeline.stages, frame)
        proven = replace(pipeline, decoder=decoder, sizes=sizes, is_proven=True)
        check_plan(proven.transform(frame))
        return proven, sorted(score_decoded(frame, proven).collect(), key=lambda row: row[c.OFFSET])
    except (PySparkException, Py4JJavaError) as problem:
        raise ScoringError(cause_of(problem)) from problem


def cause_of(problem: BaseException) -> str:
    """Return the first line of what the JVM or Spark says."""
    text = problem.java_exception.toString() if isinstance(problem, Py4JJavaError) else str(problem)
    return next(iter(str(text).splitlines()), type(problem).__name__)


def _feature_frame(session: SparkSession, signature: Signature, rows: Sequence[Features]) -> DataFrame:
    """Feature rows as a frame that ``select_outputs`` takes: the position stands where a record's offset would."""
    columns = {
        column.name: pa.array([row.get(column.name) for row in rows], ARROW_TYPES[column.type])
        for column in signature.columns
    }
    # By way of Arrow, which needs no Python worker: a failure here is the pipeline's.
    frame = session.createDataFrame(pa.table({c.OFFSET: pa.array(range(len(rows)), pa.int64()), **columns}))
    missing = dict.fromkeys((*c.SOURCE, *c.ENVELOPE), "string") | {c.VERDICT: c.VERDICT_TYPE}
    del missing[c.OFFSET]
    return frame.select("*", *(F.lit(None).cast(kind).alias(name) for name, kind in missing.items()))


def _compare(expected: GoldenRow, result: Row, tolerance: float) -> None:
    got = (result[c.PREDICTION], *(result[c.PROBABILITY] or ()))
    trained = (expected.prediction, *expected.probability)
    if len(got) < len(trained) or not all(_close(a, b, tolerance) for a, b in zip(trained, got, strict=False)):
        raise CandidateRefusedError(
            RefusalCode.GOLDEN_ROW_FAILED,
            f"for {expected.features} the model gave {got} here and {trained} at training; its files, its Spark version"
            " or its features differ",
        )


def _close(wanted: float, got: float | None, tolerance: float) -> bool:
    return got is not None and math.isclose(wanted, got, rel_tol=0, abs_tol=tolerance)
