"""A version tried on events before it serves: golden rows, an example, an event made up, recent events of the topic.

The event on which the pipeline is seen not to throw stands in for rejected ones from then on, and tells the sizes of
the pipeline's vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import structlog
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.seams import Decoder, Features, FrameScorer
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST_TRIED = 10
"""Events of one source that may throw, one after the other, before the version is taken to throw on all of them."""

_HEADERS = "array<struct<key:string,value:binary>>"


TrialAnswer = Row | Mapping[str, Any]
"""What came of an event, by the names of :data:`streaming.events.columns.RESULTS`."""


class AnsweringScorer(FrameScorer, Protocol):
    """A scorer that answers events at once, for the trial."""

    def answers(self, events: Sequence[Features], /) -> tuple[FrameScorer, Sequence[TrialAnswer]]:
        """Return the scorer as proven by events, and what came of each.

        Raises:
            CandidateRefusedError: it does not keep to one row per event.
            ScoringError: it throws, with its own words for it.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A source of trial events. A version is refused for throwing on ``real`` ones alone."""

    name: str
    events: Callable[[], Sequence[Features]]
    real: bool = True


def prove_golden(scorer: AnsweringScorer, safe: Features, golden: GoldenRows) -> FrameScorer:
    """Return the scorer as proven by an event, ``safe``, and by its golden rows.

    Raises:
        CandidateRefusedError: ``TRIAL_FAILED``, it throws on one; ``GOLDEN_ROW_FAILED``, an answer differs;
            ``UNSAFE_PLAN``.
    """
    try:
        proven, results = scorer.answers([safe, *(row.features for row in golden.rows)])
    except ScoringError as problem:
        raise CandidateRefusedError(
            RefusalCode.TRIAL_FAILED, f"the model throws on the golden rows that were logged with it: {problem}"
        ) from problem
    # The first answer is that to the safe event, for which nothing was recorded.
    for row, result in zip(golden.rows, results[1:], strict=True):
        _compare(row, result, golden.tolerance)
    return proven


def prove(model: ServedModel, sources: Iterable[Source]) -> ServedModel:
    """Return the version with the first event on which it does not throw as its safe row.

    Where it throws and no event was a real one, nothing is known, and the version comes back as it was: unproven.

    Raises:
        CandidateRefusedError: ``TRIAL_FAILED``, it throws on all of them; ``UNSAFE_PLAN``.
    """
    thrown: list[tuple[Source, str]] = []
    for source in sources:
        for features in source.events()[:MOST_TRIED]:
            try:
                return model.proven_by(features)
            except ScoringError as problem:
                thrown.append((source, str(problem)))
    for source, cause in thrown:
        if source.real:
            raise CandidateRefusedError(RefusalCode.TRIAL_FAILED, f"the model throws on {source.name}: {cause}")
    _log.warning(
        "the model throws on the event that was made up to try it with; it is loaded, and tried on the first valid"
        " event that comes. Log it with an input_example or golden rows to have it tried before it serves",
        cause="; ".join(cause for _, cause in thrown),
    )
    return model


def records_of(session: SparkSession, values: Sequence[bytes]) -> DataFrame:
    """Return a frame of records that have these values, their positions as offsets and nothing else."""
    table = pa.table({"value": pa.array(values, pa.binary()), "offset": pa.array(range(len(values)), pa.int64())})
    absent = {"key": "binary", "headers": _HEADERS, "partition": "int", "timestamp": "timestamp"}
    nulls = [F.lit(None).cast(kind).alias(name) for name, kind in absent.items()]
    return session.createDataFrame(table).select("*", *nulls)


def valid_features(
    session: SparkSession, decoder: Decoder, names: Sequence[str], values: Sequence[bytes]
) -> list[Features]:
    """Return the features, by their names, of the first events that a decoder of records takes."""
    if not values:
        return []
    decoded = decoder(records_of(session, values))
    valid = decoded.where(F.col(c.VERDICT).isNull()).limit(MOST_TRIED)
    return [row.asDict() for row in valid.select(*(F.col(quoted(name)) for name in names)).collect()]


def _compare(expected: GoldenRow, result: TrialAnswer, tolerance: float) -> None:
    got = (result[c.PREDICTION], *(result[c.PROBABILITY] or ()))
    trained = (expected.prediction, *expected.probability)
    if len(got) < len(trained) or not all(_close(a, b, tolerance) for a, b in zip(trained, got, strict=False)):
        raise CandidateRefusedError(
            RefusalCode.GOLDEN_ROW_FAILED,
            f"for {expected.features} the model gave {got} here and {trained} at training; its files, its library's"
            " version or its features differ",
        )


def _close(expected: float, got: float | None, tolerance: float) -> bool:
    return got is not None and math.isclose(expected, got, rel_tol=0, abs_tol=tolerance)
