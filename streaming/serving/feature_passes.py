"""Rows of the model's columns to the model's own answers, for the protocols that know no events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from schemas.dead_letter import Rejection
from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.models.served import ServedModel
from streaming.scoring.compiled.row_program import ModelAnswer
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.recorded import NO_ENVELOPE
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.passes import MOST_SINGLY, THROWN, merged, records_of


def feature_pass(model: ServedModel) -> Callable[[Sequence[bytes]], list[ModelAnswer | Rejection]]:
    """Return the pass of a version over events that have the signature's columns alone, without an envelope."""
    row_pass = replace(own_row_pass(model), envelope=NO_ENVELOPE)

    def score(values: Sequence[bytes]) -> list[ModelAnswer | Rejection]:
        try:
            answers, unanswered = _singly(row_pass, values)
            if unanswered:
                records = records_of([values[at] for at in unanswered], 0, itertools.count())
                answers |= zip(unanswered, _model_answers(row_pass.score(records)), strict=True)
        except ScoringError:
            if len(values) != 1:
                raise
            return [THROWN]
        return [answers[at] for at in range(len(values))]

    return score


def _singly(row_pass: JsonRowPass, values: Sequence[bytes]) -> tuple[dict[int, ModelAnswer | Rejection], Sequence[int]]:
    """Score a few events one by one.

    Returns:
        The answers, by position, and the positions that a batch has to answer.
    """
    if len(values) > MOST_SINGLY:
        return {}, range(len(values))
    singles = {at: row_pass.single(value) for at, value in enumerate(values)}
    answers: dict[int, ModelAnswer | Rejection] = {
        at: single.answer for at, single in singles.items() if single is not None
    }
    return answers, [at for at, single in singles.items() if single is None]


def _model_answers(rows: pa.RecordBatch) -> Iterator[ModelAnswer | Rejection]:
    verdicts = rows.column(c.VERDICT)
    if verdicts.null_count == 0:
        return merged(verdicts, iter(()))
    columns = (rows.column(name).filter(verdicts.is_null()) for name in (c.PREDICTION, c.LABEL, c.PROBABILITY))
    answers = zip(*(column.to_pylist() for column in columns), strict=True)
    return merged(verdicts, (ModelAnswer(*answer) for answer in answers))
