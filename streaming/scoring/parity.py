"""A scorer held against Spark's own on the same events: equal answers, or it does not serve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import Row

from streaming.events import columns as c
from streaming.events.arrow_guards import guarded
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.models.arrow_types import feature_batch
from streaming.models.seams import ArrowScorer, Features, Guard
from streaming.models.signature import Signature

TOLERANCE = 1e-12
"""Relative. Spark adds up the products of dense vectors in an order that depends on the machine."""
_NEAR_ZERO = 1e-15
"""Absolute, for probabilities next to 0, whose relative difference says nothing."""


@dataclass(frozen=True)
class Parity:
    """What came of the comparison.

    Attributes:
        events: how many were compared.
        mismatches: on how many the answers differ.
        largest: the largest relative difference of two numbers that count as equal.
        example: an event on which they differ, and both answers.
    """

    events: int
    mismatches: int
    largest: float
    example: str = ""

    @property
    def holds(self) -> bool:
        """Every answer was Spark's."""
        return self.events > 0 and not self.mismatches

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.holds:
            return f"its answers are Spark's on {self.events} events, within {self.largest:.1e} of the value"
        return f"its answers differ from Spark's on {self.mismatches} of {self.events} events, such as {self.example}"


def valid_events(events: Iterable[Features], signature: Signature, guards: Iterable[Guard]) -> pa.RecordBatch:
    """Return the events that no guard rejects, with the signature's columns."""
    batch = feature_batch(signature, events)
    verdicts = guarded(batch.append_column(c.VERDICT, pa.nulls(batch.num_rows, VERDICT_STRUCT)), guards)
    return batch.filter(verdicts.is_null())


def compared(events: pa.RecordBatch, scorer: ArrowScorer, expected: Sequence[Row]) -> Parity:
    """Score events, and compare the answers with Spark's.

    Args:
        events: n valid events, with the signature's columns.
        scorer: is judged.
        expected: n rows that Spark has scored.

    Raises:
        ScoringError: the scorer throws on an event.
    """
    answers = scorer.score(events).to_pylist()
    gaps = [_gap(answer, row.asDict()) for answer, row in zip(answers, expected, strict=True)]
    differing = [position for position, gap in enumerate(gaps) if gap is None]
    largest = max((gap for gap in gaps if gap is not None), default=0.0)
    example = ""
    if differing:
        first = differing[0]
        (event,) = events.slice(first, 1).to_pylist()
        example = f"{event}: {_text(answers[first])} and {_text(expected[first].asDict())}"
    return Parity(events.num_rows, len(differing), largest, example)


def agrees(answer: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Return whether an answer, by the names of :data:`streaming.events.columns.RESULTS`, is the expected one."""
    return _gap(answer, expected) is not None


def _gap(answer: Mapping[str, Any], expected: Mapping[str, Any]) -> float | None:
    """Return the largest relative difference of two answers' numbers; ``None`` where they are not equal."""
    if answer[c.LABEL] != expected[c.LABEL]:
        return None
    # A class is a whole number, which is right or wrong.
    tolerance = TOLERANCE if expected[c.PROBABILITY] is None else 0.0
    gaps = [_difference(answer[c.PREDICTION], expected[c.PREDICTION], tolerance)]
    ours, theirs = _numbers(answer), _numbers(expected)
    if len(ours) != len(theirs):
        return None
    gaps += [_difference(a, b, TOLERANCE) for a, b in zip(ours, theirs, strict=True)]
    return None if None in gaps else max(gap for gap in gaps if gap is not None)


def _numbers(answer: Mapping[str, Any]) -> Sequence[float | None]:
    return [answer[c.CONFIDENCE], *(answer[c.PROBABILITY] or ())]


def _difference(ours: float | None, theirs: float | None, tolerance: float) -> float | None:
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else None
    if ours == theirs or (math.isnan(ours) and math.isnan(theirs)):
        return 0.0
    if not math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=_NEAR_ZERO if tolerance else 0.0):
        return None
    gap = abs(ours - theirs) / max(abs(ours), abs(theirs))
    return gap if gap <= tolerance else 0.0


def _text(answer: dict[str, Any]) -> str:
    return f"{answer[c.PREDICTION]} {answer[c.PROBABILITY] or ''}".strip()
