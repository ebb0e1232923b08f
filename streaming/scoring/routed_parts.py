"""One model's events of a batch: guarded, scored and binned, and put together with those of the other models.

What a model throws on is searched for by halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.arrow_guards import guarded
from streaming.events.arrow_verdicts import VERDICT_STRUCT, rows_of, with_verdicts
from streaming.events.columns import RESULTS
from streaming.scoring.arrow_bins import BinColumns, BinRows
from streaming.scoring.compiled.scorer import CompiledScorer
from streaming.scoring.model_files import ModelProgram
from streaming.scoring.routed_events import ModelEvents, Numbers

_MOST_SEARCHED = 20
"""Rows that a model throws on, after which it is asked for no other row of the batch."""
_OWN = (*RESULTS.names, c.BINS)
_TYPES = {**{field.name: field.type for field in RESULTS}, c.BINS: pa.binary()}


@dataclass(frozen=True)
class ScoredPart:
    """One model's rows: where they are in the batch, and what comes of them."""

    rows: Numbers
    columns: dict[str, pa.Array]


def unscored(events: ModelEvents, rejection: Rejection) -> ScoredPart:
    """Reject all events of a model that cannot be asked; what a decoder has said of one stays."""
    size = len(events)
    verdicts = with_verdicts(events.features.column(c.VERDICT), [(np.ones(size, np.bool_), rejection)])
    return ScoredPart(events.rows, {c.VERDICT: verdicts, **_nothing(size)})


def scored(events: ModelEvents, program: ModelProgram) -> ScoredPart:
    """Answer the events that the model's guards let pass; those that it throws on are rejected, too."""
    verdicts = guarded(events.features, program.guards)
    answers, throwing = _answers(events, program, verdicts)
    # Most models' events are all valid, and a model may have few in a batch: what is not needed is not done.
    if verdicts.null_count == len(verdicts) and not throwing.any():
        return ScoredPart(events.rows, {c.VERDICT: verdicts, **answers})
    mask = verdicts.is_null().to_numpy(zero_copy_only=False)
    thrown = np.zeros(len(verdicts), np.bool_)
    thrown[mask] = throwing
    verdicts = with_verdicts(verdicts, [(thrown, Rejection(Reason.SCORING_FAILED.value))])
    rows = rows_of(mask & ~thrown)
    spread = {name: column.take(rows) for name, column in answers.items()}
    return ScoredPart(events.rows, {c.VERDICT: verdicts, **spread})


def joined(parts: Sequence[ScoredPart]) -> dict[str, pa.Array]:
    """Return the columns of all parts, one part behind the other."""
    if not parts:
        return {c.VERDICT: pa.nulls(0, VERDICT_STRUCT), **_nothing(0)}
    return {name: pa.concat_arrays([part.columns[name] for part in parts]) for name in (c.VERDICT, *_OWN)}


def _nothing(size: int) -> dict[str, pa.Array]:
    return {name: pa.nulls(size, kind) for name, kind in _TYPES.items()}


def _answers(
    events: ModelEvents, program: ModelProgram, verdicts: pa.StructArray
) -> tuple[dict[str, pa.Array], NDArray[np.bool_]]:
    """Return the answers to the valid events on which the model does not throw, and on which of them it throws."""
    throwing = np.zeros(verdicts.null_count, np.bool_)
    if not len(throwing):
        return _nothing(0), throwing
    at_once = _at_once(events, program) if len(throwing) == events.valid.stop - events.valid.start else None
    if at_once is not None:
        return dict(zip(_OWN, at_once, strict=True)), throwing
    chosen = events.features.filter(verdicts.is_null()).select(list(events.group.signature.names))
    batches = list(_tried(program, chosen, throwing))
    if not batches:
        return _nothing(0), throwing
    columns = zip(*batches, strict=True)
    return {name: pa.concat_arrays(pieces) for name, pieces in zip(_OWN, columns, strict=True)}, throwing


def _at_once(events: ModelEvents, program: ModelProgram) -> list[pa.Array] | None:
    """Answer the events by the columns that are read for all models of a group; ``None`` if the model throws on any."""
    columns = events.group.columns if isinstance(program.scorer, CompiledScorer) else None
    if columns is None or not isinstance(program.scorer, CompiledScorer):
        return None
    try:
        answers = program.scorer.score_read(columns.part(events.valid))
        return _with_bins(program, answers, BinRows(events.group.bins, events.valid))
    except Exception:  # which of them it throws on is searched for, and says what is thrown
        return None


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
        chosen = events.slice(start, end - start)
        try:
            answers = program.scorer.score(chosen)
            yield _with_bins(program, answers, BinRows(BinColumns(chosen), slice(0, end - start)))
        except Exception:  # a model that is broken in any way is the matter of its own events
            if end - start == 1:
                throwing[start] = True
            else:
                middle = (start + end) // 2
                # It is a stack: the lower half comes first, so that answers are in order.
                waiting += [(middle, end), (start, middle)]


def _with_bins(program: ModelProgram, answers: pa.RecordBatch, features: BinRows) -> list[pa.Array]:
    if program.bins is None:
        bins = pa.nulls(answers.num_rows, pa.binary())
    else:
        bins = program.bins.of_rows(features, BinRows(BinColumns(answers), slice(0, answers.num_rows)))
    return [*answers.columns, bins]
