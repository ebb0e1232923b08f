"""Rows of the model's columns to the model's own answers, for the protocols that know no events.

Where columns are looked up, a row that has one of them is scored as it is, as by MLflow's own server. A row that has
none of them is given all of them by its key.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import pyarrow as pa

from schemas.dead_letter import Rejection
from streaming.clock import Clock, system_clock
from streaming.errors import LookupUnavailableError, ScoringError
from streaming.events import columns as c
from streaming.lookup_state import LookupState
from streaming.models.served import ServedModel
from streaming.scoring.compiled.row_program import ModelAnswer
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.recorded import NO_ENVELOPE
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.cell_events import NULL
from streaming.serving.looked_up import LookedUp, ServedTable, columns_of, no_table, of_event, of_rows
from streaming.serving.passes import MOST_SINGLY, THROWN, merged, records_of

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class RowAnswer(NamedTuple):
    """What the model says of a row, or why it says nothing; and what the row was given, if anything was looked up."""

    value: ModelAnswer | Rejection
    looked_up: LookedUp | None = None


@dataclass(frozen=True)
class FeaturePasses:
    """Makes what answers rows; ``table`` has the columns that they may lack, ``None`` where nothing is looked up."""

    table: ServedTable | None = None
    clock: Clock = system_clock

    def __call__(self, model: ServedModel) -> Callable[[Sequence[bytes]], list[RowAnswer]]:
        """Return the pass of a version over events that have the signature's columns alone, without an envelope."""
        row_pass = replace(own_row_pass(model), envelope=NO_ENVELOPE)
        if self.table is None or row_pass.lookup is None:
            return _FeaturePass(row_pass)
        looking = replace(row_pass, lookup=row_pass.lookup.of_rows())
        return _LookingPass(_FeaturePass(replace(row_pass, lookup=None)), _FeaturePass(looking), self.table, self.clock)


class _FeaturePass:
    """The pass of one thread over rows that are all looked up, or none of them."""

    def __init__(self, row_pass: JsonRowPass) -> None:
        self._row_pass = row_pass
        self.columns = columns_of(row_pass)

    def __call__(self, values: Sequence[bytes], state: LookupState | None = None) -> list[RowAnswer]:
        try:
            answers, unanswered = self._singly(values, state)
            if unanswered:
                records = records_of([values[at] for at in unanswered], 0, itertools.count())
                rows = self._row_pass.score(records, state)
                made = map(RowAnswer, _model_answers(rows), of_rows(rows, self.columns))
                answers |= zip(unanswered, made, strict=True)
        except ScoringError:
            if len(values) != 1:
                raise
            return [RowAnswer(THROWN)]
        return [answers[at] for at in range(len(values))]

    def _singly(self, values: Sequence[bytes], state: LookupState | None) -> tuple[dict[int, RowAnswer], Sequence[int]]:
        """Score a few events one by one.

        Returns:
            The answers, by position, and the positions that a batch has to answer.
        """
        if len(values) > MOST_SINGLY:
            return {}, range(len(values))
        singles = {at: self._row_pass.single(value, state) for at, value in enumerate(values)}
        answers = {
            at: RowAnswer(single.answer, of_event(single.event, self.columns))
            for at, single in singles.items()
            if single is not None
        }
        return answers, [at for at, single in singles.items() if single is None]


@dataclass(frozen=True)
class _LookingPass:
    """The pass of one thread over rows of which each is scored as it is, or given columns from a table."""

    as_given: _FeaturePass
    looking: _FeaturePass
    table: ServedTable
    clock: Clock

    def __call__(self, values: Sequence[bytes]) -> list[RowAnswer]:
        has_columns = [self._has_columns(value) for value in values]
        as_they_are = iter(self.as_given(list(itertools.compress(values, has_columns))))
        if all(has_columns):
            return list(as_they_are)
        try:
            state = self.table.state(self.clock())
            lacking = [value for value, is_given in zip(values, has_columns, strict=True) if not is_given]
            looked_up = iter(self.looking(lacking, state))
        except LookupUnavailableError as problem:
            raise no_table(problem) from problem
        return [next(as_they_are if is_given else looked_up) for is_given in has_columns]

    def _has_columns(self, value: bytes) -> bool:
        try:
            fields = _FIELDS.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            # The pass says what is wrong with it.
            return True
        return any(bytes(fields.get(name, NULL)) != NULL for name in self.looking.columns)


def _model_answers(rows: pa.RecordBatch) -> Iterator[ModelAnswer | Rejection]:
    verdicts = rows.column(c.VERDICT)
    if verdicts.null_count == 0:
        return merged(verdicts, iter(()))
    columns = (rows.column(name).filter(verdicts.is_null()) for name in (c.PREDICTION, c.LABEL, c.PROBABILITY))
    answers = zip(*(column.to_pylist() for column in columns), strict=True)
    return merged(verdicts, (ModelAnswer(*answer) for answer in answers))
