"""Events to answers in one pass, by the version's own row pass and, for predictions, the stream's own serialiser."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from schemas.dead_letter import Rejection
from streaming.clock import Clock, isoformat
from streaming.events import columns as c
from streaming.models.served import ServedModel
from streaming.outputs.arrow_times import written_times
from streaming.outputs.arrow_values import prediction_values
from streaming.outputs.envelope import Stamp
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.recorded import NO_ENVELOPE

ROLE = "champion"
_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_MOMENT = pa.timestamp("us", tz="UTC")

T = TypeVar("T")
Positions = Iterator[int]


class ModelAnswer(NamedTuple):
    """What a model says of an event; ``label`` and ``probability`` are ``None`` where it gives none."""

    prediction: float
    label: str | None
    probability: list[float] | None


@dataclass(frozen=True)
class EventPasses:
    """Makes what turns events, as a topic would carry them, into predictions, as a topic would carry them.

    Attributes:
        source: stands where the stream has a topic's name; the process's own, so that ids do not meet.
        clock: gives the time of scoring, which is also the time of an event whose envelope names none.
        numbers: stand where the stream has offsets.
    """

    source: str
    clock: Clock
    numbers: Positions = field(default_factory=itertools.count)

    def __call__(self, model: ServedModel) -> Callable[[Sequence[bytes]], list[bytes | Rejection]]:
        """Return the pass of a version: each event's JSON value, or why the stream would make a dead letter of it.

        It raises ``ScoringError`` where the model throws on one of the events.
        """
        row_pass = own_row_pass(model)

        def score(values: Sequence[bytes]) -> list[bytes | Rejection]:
            now = self.clock()
            stamp = Stamp(self.source, model.version, ROLE, isoformat(now))
            # One iterator for all threads: its next number is taken in one step of the interpreter.
            records = records_of(values, int(now.timestamp() * 1_000_000), self.numbers)
            return list(_predictions(row_pass.score(records), stamp))

        return score


def feature_pass(model: ServedModel) -> Callable[[Sequence[bytes]], list[ModelAnswer | Rejection]]:
    """Return the pass of a version over events that have the signature's columns alone, without an envelope."""
    row_pass = replace(own_row_pass(model), envelope=NO_ENVELOPE)

    def score(values: Sequence[bytes]) -> list[ModelAnswer | Rejection]:
        return list(_model_answers(row_pass.score(records_of(values, 0, itertools.count()))))

    return score


def records_of(values: Sequence[bytes], micros: int, numbers: Positions) -> pa.RecordBatch:
    """Return events as records of Kafka would bring them: without key and headers, each at a position of its own.

    Args:
        values: of n events.
        micros: the records' timestamp, in microseconds since 1970.
        numbers: give their offsets.
    """
    rows = len(values)
    return pa.record_batch(
        {
            "key": pa.nulls(rows, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "headers": pa.nulls(rows, _HEADERS),
            "partition": pa.array(np.zeros(rows, np.int32)),
            "offset": pa.array([next(numbers) for _ in range(rows)], pa.int64()),
            "timestamp": pa.array(np.full(rows, micros, np.int64)).cast(_MOMENT),
        }
    )


def _predictions(rows: pa.RecordBatch, stamp: Stamp) -> Iterator[bytes | Rejection]:
    verdicts = rows.column(c.VERDICT)
    valid = rows if verdicts.null_count == len(verdicts) else rows.filter(verdicts.is_null())
    made: Iterator[bytes] = iter(())
    if valid.num_rows:
        position = valid.schema.get_field_index(c.EVENT_TIME)
        timed = valid.set_column(position, c.EVENT_TIME, written_times(valid.column(position)))
        made = iter(prediction_values(timed, [stamp]))
    return _merged(verdicts, made)


def _model_answers(rows: pa.RecordBatch) -> Iterator[ModelAnswer | Rejection]:
    verdicts = rows.column(c.VERDICT)
    if verdicts.null_count == 0:
        return _merged(verdicts, iter(()))
    columns = (rows.column(name).filter(verdicts.is_null()) for name in (c.PREDICTION, c.LABEL, c.PROBABILITY))
    answers = zip(*(column.to_pylist() for column in columns), strict=True)
    return _merged(verdicts, (ModelAnswer(*answer) for answer in answers))


def _merged(verdicts: pa.StructArray, made: Iterator[T]) -> Iterator[T | Rejection]:
    """Yield each row's rejection, or the next of what was made for the valid ones."""
    if verdicts.null_count == len(verdicts):
        yield from made
        return
    for verdict in verdicts.to_pylist():
        yield next(made) if verdict is None else Rejection(**verdict)
