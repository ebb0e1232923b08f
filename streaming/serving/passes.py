"""Events to answers, by the version's own row pass and, for predictions, the stream's own serialiser.

A few events are scored one by one without Arrow, whose calls take a hundred times as long as a single event's
arithmetic. What has no answer that way, as each event that is rejected, goes through a pass over a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa

from schemas.dead_letter import Rejection
from streaming.clock import Clock, isoformat
from streaming.events import columns as c
from streaming.models.served import ServedModel
from streaming.outputs.arrow_times import written_time, written_times
from streaming.outputs.arrow_values import ValueWriter, prediction_values
from streaming.outputs.envelope import Stamp
from streaming.scoring.compiled.row_program import ModelAnswer
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.recorded import NO_ENVELOPE
from streaming.scoring.row_pass import JsonRowPass, SingleAnswer

ROLE = "champion"
MOST_SINGLY = 32
"""Events that are scored one by one; a pass over more takes less time than that."""
_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_MOMENT = pa.timestamp("us", tz="UTC")

T = TypeVar("T")
Positions = Iterator[int]


@dataclass
class EventPasses:
    """Makes what turns events, as a topic would carry them, into predictions, as a topic would carry them.

    Attributes:
        source: stands where the stream has a topic's name; the process's own, so that ids do not meet.
        clock: gives the time of scoring, which is also the time of an event whose envelope names none.
        numbers: stand where the stream has offsets.
        unread: the events' fields that nobody reads, as the versions before have learnt them.
    """

    source: str
    clock: Clock
    numbers: Positions = field(default_factory=itertools.count)
    unread: tuple[str, ...] = ()

    def __call__(self, model: ServedModel) -> Callable[[Sequence[bytes]], list[bytes | Rejection]]:
        """Return the pass of a version: each event's JSON value, or why the stream would make a dead letter of it.

        It raises ``ScoringError`` where the model throws on one of the events.
        """
        row_pass = replace(own_row_pass(model), unread=self.unread)

        def score(values: Sequence[bytes]) -> list[bytes | Rejection]:
            now = self.clock()
            moment = int(now.timestamp() * 1_000_000)
            stamp = Stamp(self.source, model.version, ROLE, isoformat(now))
            # One iterator for all threads: its next number is taken in one step of the interpreter.
            numbers = [next(self.numbers) for _ in values]
            write = _single_writer(ValueWriter(stamp), moment)
            answers, rest = _singly(row_pass, values, lambda at, single: write(numbers[at], single))
            if rest:
                records = records_of([values[at] for at in rest], moment, iter([numbers[at] for at in rest]))
                answers |= zip(rest, _predictions(row_pass.score(records), stamp), strict=True)
                self.unread = row_pass.learnt()
            return [answers[at] for at in range(len(values))]

        return score


def feature_pass(model: ServedModel) -> Callable[[Sequence[bytes]], list[ModelAnswer | Rejection]]:
    """Return the pass of a version over events that have the signature's columns alone, without an envelope."""
    row_pass = replace(own_row_pass(model), envelope=NO_ENVELOPE)

    def score(values: Sequence[bytes]) -> list[ModelAnswer | Rejection]:
        answers, rest = _singly(row_pass, values, lambda _, single: single.answer)
        if rest:
            records = records_of([values[at] for at in rest], 0, itertools.count())
            answers |= zip(rest, _model_answers(row_pass.score(records)), strict=True)
        return [answers[at] for at in range(len(values))]

    return score


def _singly(
    row_pass: JsonRowPass, values: Sequence[bytes], made: Callable[[int, SingleAnswer], T]
) -> tuple[dict[int, T | Rejection], Sequence[int]]:
    """Score a few events one by one.

    Args:
        row_pass: the version's.
        values: the events.
        made: an event's position and its answer to what is wanted of it.

    Returns:
        What was made, by position, and the positions that a batch has to answer.
    """
    if len(values) > MOST_SINGLY:
        return {}, range(len(values))
    singles = {at: row_pass.single(value) for at, value in enumerate(values)}
    answers: dict[int, T | Rejection] = {at: made(at, single) for at, single in singles.items() if single is not None}
    return answers, [at for at, single in singles.items() if single is None]


def _single_writer(writer: ValueWriter, micros: int) -> Callable[[int, SingleAnswer], bytes]:
    """Return what writes a prediction as :func:`_predictions` does, from its number and the answer.

    Args:
        writer: of the stamp's predictions.
        micros: the moment of an event that names none, in microseconds since 1970.
    """

    def write(number: int, single: SingleAnswer) -> bytes:
        event, (prediction, label, probability) = single
        event_time = written_time(event.get(c.EVENT_TIME, micros) // 1_000)
        confidence = None if probability is None else max(probability)
        event_id = event.get(c.EVENT_ID, f"0-{number}")
        return writer.value((0, number, event_id, event_time, prediction, label, probability, confidence))

    return write


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
