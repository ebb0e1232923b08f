"""Records to scored rows by many models in one pass: decoded once, split by their models, scored, put together again.

A row has what its own model's :class:`streaming.scoring.row_pass.JsonRowPass` would say of it. What a model throws is
its own events' matter: those that it throws on are searched for here and rejected, and no other row notices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from schemas.dead_letter import Reason, Rejection
from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_guards import guarded
from streaming.events.arrow_records import decoded_rows
from streaming.events.arrow_verdicts import VERDICT_STRUCT, rows_of, with_verdicts
from streaming.events.columns import RESULTS
from streaming.lookup_state import LookupState
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.models.table import ModelTable
from streaming.scoring.arrow_results import with_invalid_predictions
from streaming.scoring.model_files import ModelProgram, ResidentPrograms, read_table, resident_programs
from streaming.scoring.routed_events import RoutedDecoder, RoutedEvents, spread
from streaming.scoring.row_pass import BEFORE
from streaming.scoring_time import ScoringTime
from streaming.settings import EventSettings

_MOST_SEARCHED = 20
"""Rows that a model throws on, after which it is asked for no other row of the batch."""
_OWN = (*RESULTS.names, c.BINS)
_SCHEMA = pa.schema([*BEFORE, *RESULTS, (c.VERDICT, VERDICT_STRUCT), (c.BINS, pa.binary()), (c.ARM, pa.int32())])
_ANSWER_TYPES = {**{field.name: field.type for field in RESULTS}, c.BINS: pa.binary()}


@dataclass(frozen=True)
class RoutedPass:
    """Scores records by the models of a table.

    It is small when pickled: tables and programs are files, of which a worker reads those that its events need.

    Attributes:
        table_file: the table.
        resident_bytes: what a worker keeps of programs.
        envelope: how the job's events are read; ``max_value_bytes`` bounds them.
    """

    table_file: Path
    resident_bytes: int
    envelope: EventSettings
    max_value_bytes: int

    def __getstate__(self) -> dict[str, object]:
        """Return the fields alone: what a process has made of them is its own, and a parser cannot be pickled."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def table(self) -> ModelTable:
        """The table, as this process has read it."""
        return read_table(self.table_file)

    @property
    def others(self) -> tuple[ModelVersion, ...]:
        """The versions by their numbers in ``columns.ARM``; 0 is the table itself, for events without a model."""
        return tuple(row.version for row in self.table.rows)

    def score(self, records: pa.RecordBatch, at: LookupState | None = None) -> pa.RecordBatch:  # noqa: ARG002
        """Decode, split, guard, score, judge and bin.

        Args:
            records: as :meth:`streaming.models.seams.RowPass.score` takes them.
            at: nothing is looked up for many models.

        Returns:
            n rows in the same order: the source columns, the envelope, the answers, bins, and ``columns.ARM``.
        """
        events = self._decoder.read(records.column("value"))
        rows = decoded_rows(records, events.envelope, self.envelope)
        parts = [self._part(part, number) for part, number in events.parts()]
        order = np.concatenate([part.rows for part in parts]) if parts else np.empty(0, np.int64)
        columns = _joined(parts)
        # Predictions are judged once for all: what makes one invalid does not depend on the model.
        verdicts = spread(columns.pop(c.VERDICT), order)
        made = {name: spread(column, order) for name, column in columns.items()}
        answers = pa.RecordBatch.from_arrays(list(made.values()), list(made))
        made[c.VERDICT] = with_invalid_predictions(verdicts, answers)
        made[c.ARM] = pa.array(events.numbers, pa.int32())
        shared = [name for name in rows.schema.names if name != c.VERDICT]
        return pa.RecordBatch.from_arrays([*rows.select(shared).columns, *made.values()], [*shared, *made])

    def counts(self) -> dict[str, float]:
        """Return nothing: nothing is looked up."""
        return {}

    def times(self) -> Mapping[int, ScoringTime]:
        """Return nothing: nobody compares the models."""
        return {}

    def over(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:  # noqa: ARG002 - see score
        """Do the same with a frame of records; see :meth:`streaming.models.seams.RowPass.over`."""
        return records.select(*c.RECORD).mapInArrow(partial(_passed, self), from_arrow_schema(_SCHEMA))

    def of_decoded(self, events: DataFrame) -> DataFrame:
        """Refuse events that are read already: which model they are for stands in their JSON."""
        raise ScoringError(f"{events} cannot be scored by many models: the field that tells them apart is not read")

    @cached_property
    def _decoder(self) -> RoutedDecoder:
        return RoutedDecoder(self.table, self.envelope, self.max_value_bytes)

    @cached_property
    def _programs(self) -> ResidentPrograms:
        return resident_programs(self.resident_bytes)

    @cached_property
    def _folder(self) -> str:
        return str(self.table_file.parent)

    def _part(self, events: RoutedEvents, number: int) -> _Part:
        if number == 0:
            return _unscored(events, Rejection(Reason.NO_MODEL.value, self.table.rule.field))
        row = self.table.row(number)
        program = self._program(row.program) if row.is_loaded else None
        if program is None:
            return _unscored(events, Rejection(Reason.MODEL_NOT_LOADED.value, self.table.rule.field))
        return _scored(events, program, row.signature)

    def _program(self, name: str) -> ModelProgram | None:
        try:
            return self._programs.get(f"{self._folder}/{name}")
        except OSError:
            # The folder is gone, not the model at fault: the batch waits for it, and no event is rejected.
            raise
        except Exception:  # whatever a damaged file makes of unpickling
            return None


def _passed(row_pass: RoutedPass, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield row_pass.score(batch).select(_SCHEMA.names)


@dataclass(frozen=True)
class _Part:
    """One model's rows: where they are in the batch, and what comes of them."""

    rows: NDArray[np.int64]
    columns: dict[str, pa.Array]


def _unscored(events: RoutedEvents, rejection: Rejection) -> _Part:
    size = len(events.rows)
    verdicts = with_verdicts(events.features.column(c.VERDICT), [(np.ones(size, np.bool_), rejection)])
    return _Part(events.rows, {c.VERDICT: verdicts, **_nothing(size)})


def _nothing(size: int) -> dict[str, pa.Array]:
    return {name: pa.nulls(size, kind) for name, kind in _ANSWER_TYPES.items()}


def _scored(events: RoutedEvents, program: ModelProgram, signature: Signature) -> _Part:
    verdicts = guarded(events.features, program.guards)
    chosen = events.features.select(list(signature.names))
    # Most models' events are all valid, and a model may have few in a batch: what is not needed is not done.
    all_valid = verdicts.null_count == len(verdicts)
    answers, throwing = _answers(program, chosen if all_valid else chosen.filter(verdicts.is_null()))
    if all_valid and not throwing.any():
        return _Part(events.rows, {c.VERDICT: verdicts, **answers})
    mask = verdicts.is_null().to_numpy(zero_copy_only=False)
    thrown = np.zeros(len(verdicts), np.bool_)
    thrown[mask] = throwing
    verdicts = with_verdicts(verdicts, [(thrown, Rejection(Reason.SCORING_FAILED.value))])
    rows = rows_of(mask & ~thrown)
    return _Part(events.rows, {c.VERDICT: verdicts, **{name: column.take(rows) for name, column in answers.items()}})


def _answers(program: ModelProgram, events: pa.RecordBatch) -> tuple[dict[str, pa.Array], NDArray[np.bool_]]:
    """Return the answers to the events on which the model does not throw, and which of them it throws on."""
    throwing = np.zeros(events.num_rows, np.bool_)
    batches = list(_tried(program, events, throwing))
    if not batches:
        return _nothing(0), throwing
    if len(batches) == 1:
        return dict(zip(_OWN, batches[0], strict=True)), throwing
    columns = zip(*batches, strict=True)
    return {name: pa.concat_arrays(pieces) for name, pieces in zip(_OWN, columns, strict=True)}, throwing


def _tried(program: ModelProgram, events: pa.RecordBatch, throwing: NDArray[np.bool_]) -> Iterator[list[pa.Array]]:
    """Yield answers in order; what the model throws on is searched by halves and noted in ``throwing``."""
    waiting = [(0, events.num_rows)]
    while waiting:
        start, end = waiting.pop()
        if start == end:
            continue
        if throwing.sum() >= _MOST_SEARCHED:
            throwing[start:end] = True
            continue
        try:
            yield _columns(program, events.slice(start, end - start))
        except Exception:  # a model that is broken in any way is the matter of its own events
            if end - start == 1:
                throwing[start] = True
            else:
                middle = (start + end) // 2
                # It is a stack: the lower half comes first, so that answers are in order.
                waiting += [(middle, end), (start, middle)]


def _columns(program: ModelProgram, events: pa.RecordBatch) -> list[pa.Array]:
    answers = program.scorer.score(events)
    if program.bins is None:
        bins = pa.nulls(events.num_rows, pa.binary())
    else:
        both = [*events.schema.names, *answers.schema.names]
        bins = program.bins.of(pa.RecordBatch.from_arrays([*events.columns, *answers.columns], both))
    return [*answers.columns, bins]


def _joined(parts: Sequence[_Part]) -> dict[str, pa.Array]:
    if not parts:
        return {c.VERDICT: pa.nulls(0, VERDICT_STRUCT), **_nothing(0)}
    return {name: pa.concat_arrays([part.columns[name] for part in parts]) for name in (c.VERDICT, *_OWN)}
