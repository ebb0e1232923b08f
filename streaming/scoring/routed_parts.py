"""One model's events of a batch: guarded, scored and binned, and put together with those of the other models.

What a model throws on is searched for by halves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.arrow_guards import guarded
from streaming.events.arrow_verdicts import VERDICT_STRUCT, rows_of, with_verdicts
from streaming.events.columns import RESULTS
from streaming.models.signature import Signature
from streaming.scoring.arrow_bins import BinColumns, BinRows
from streaming.scoring.compiled.scope import Columns
from streaming.scoring.compiled.scorer import CompiledScorer
from streaming.scoring.model_files import ModelProgram
from streaming.scoring.routed_events import ModelEvents, Numbers

_MOST_SEARCHED = 20
"""Rows that a model throws on, after which it is asked for no other row of the batch."""
_PIECE = 5_000
"""Events that a model is asked for at once; between two pieces it is seen how long it has taken."""
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


def scored(events: ModelEvents, program: ModelProgram, seconds: float) -> ScoredPart:
    """Answer the events that the model's guards let pass; those that it throws on are rejected, too.

    So are those that are left after it has taken so many ``seconds`` of the processor: the others wait for it.
    """
    verdicts = guarded(events.features, program.guards)
    throwing = np.zeros(verdicts.null_count, np.bool_)
    answers = _answers(_answer(events, program, verdicts), throwing, seconds)
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


Answer = Callable[[slice], list[pa.Array]]
"""Answers some of a model's valid events, by their numbers among these."""


def _answers(answer: Answer, throwing: NDArray[np.bool_], seconds: float) -> dict[str, pa.Array]:
    """Return the answers to the events that the model has not thrown on, which are noted in ``throwing``."""
    batches = list(_tried(answer, throwing, time.thread_time() + seconds))
    if not batches:
        return _nothing(0)
    if len(batches) == 1:
        return dict(zip(_OWN, batches[0], strict=True))
    columns = zip(*batches, strict=True)
    return {name: pa.concat_arrays(pieces) for name, pieces in zip(_OWN, columns, strict=True)}


def _answer(events: ModelEvents, program: ModelProgram, verdicts: pa.StructArray) -> Answer:
    scorer, rejected_none = program.scorer, verdicts.null_count == events.valid.stop - events.valid.start
    if isinstance(scorer, CompiledScorer) and rejected_none and (columns := events.group.columns) is not None:
        return _by_columns(program, scorer, columns, events)
    return _by_rows(program, events.features.filter(verdicts.is_null()), events.group.signature)


def _by_columns(program: ModelProgram, scorer: CompiledScorer, columns: Columns, events: ModelEvents) -> Answer:
    """Answer by the columns that are read once for all models of a group."""

    def answer(rows: slice) -> list[pa.Array]:
        of_group = slice(events.valid.start + rows.start, events.valid.start + rows.stop)
        return _with_bins(program, scorer.score_read(columns.part(of_group)), BinRows(events.group.bins, of_group))

    return answer


def _by_rows(program: ModelProgram, valid: pa.RecordBatch, signature: Signature) -> Answer:
    """Answer by the events' own rows, as a model of another library does."""
    chosen = valid.select(list(signature.names))
    bins = BinColumns(chosen)

    def answer(rows: slice) -> list[pa.Array]:
        some = chosen.slice(rows.start, rows.stop - rows.start)
        return _with_bins(program, program.scorer.score(some), BinRows(bins, rows))

    return answer


def _tried(answer: Answer, throwing: NDArray[np.bool_], until: float) -> Iterator[list[pa.Array]]:
    """Yield answers in order; what the model throws on is searched by halves and noted in ``throwing``."""
    starts = range(0, len(throwing), _PIECE)
    # It is a stack: what is on top comes first, so that answers are in order.
    waiting = [(start, min(start + _PIECE, len(throwing))) for start in reversed(starts)]
    while waiting:
        start, end = waiting.pop()
        if throwing.sum() >= _MOST_SEARCHED or time.thread_time() > until:
            throwing[start:end] = True
            continue
        try:
            yield answer(slice(start, end))
        except Exception:  # a model that is broken in any way is the matter of its own events
            if end - start == 1:
                throwing[start] = True
            else:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]


def _with_bins(program: ModelProgram, answers: pa.RecordBatch, features: BinRows) -> list[pa.Array]:
    if program.bins is None:
        bins = pa.nulls(answers.num_rows, pa.binary())
    else:
        bins = program.bins.of_rows(features, BinRows.whole(answers))
    return [*answers.columns, bins]
