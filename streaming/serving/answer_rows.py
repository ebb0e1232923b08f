"""Answers that were given to the rows that the stream's writer sends, bins included: the events are read once more.

A server's answers have no bins, since to find them takes a part of the time of each. Here many events are read at once,
and no caller waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from schemas.dead_letter import Rejection
from streaming.clock import instant, isoformat, moment
from streaming.events import columns as c
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.models.arrow_types import feature_schema
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Target
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.answer_log import AnsweredRequest
from streaming.serving.arms import EventAnswer, ServedArm
from streaming.serving.looked_up import LookedUp, columns_of
from streaming.serving.passes import Positions, records_of, stamp_of


class _Read(msgspec.Struct):
    """What is wanted of a prediction's JSON; infinity is text there."""

    prediction_id: str
    event_time: str
    prediction: float
    confidence: float | str | None


class _Answered(NamedTuple):
    """One event and its answer; ``read`` is ``None`` of a rejection."""

    event: bytes
    answer: EventAnswer
    micros: int
    read: _Read | None


_READ = msgspec.json.Decoder(_Read).decode


class StampedRows(NamedTuple):
    """Rows as :func:`streaming.outputs.arrow_rows.enveloped_rows` returns them, and their stamp."""

    rows: pa.RecordBatch
    stamp: Stamp


@dataclass
class AnswerRows:
    """Reads the events of answers, for one thread.

    Attributes:
        source: stands for the topic in the answers' ids.
        numbers: stand for offsets; rejected events have none yet.
        to: the topic of predictions.
    """

    source: str
    numbers: Positions
    to: Target
    _passes: dict[ServedArm, JsonRowPass] = field(default_factory=dict)

    def of(self, requests: Sequence[AnsweredRequest]) -> Iterator[StampedRows]:
        """Yield the rows of each arm's answers."""
        by_arm: dict[ServedArm, list[_Answered]] = {}
        for request in requests:
            for event, answer in zip(request.events, request.answers, strict=True):
                read = None if isinstance(answer.value, Rejection) else _READ(answer.value)
                by_arm.setdefault(answer.arm, []).append(_Answered(event, answer, request.micros, read))
        # Only the arms that answer now are kept, not the versions of last week.
        self._passes = {arm: self._passes.get(arm) or own_row_pass(arm.model, binned=True) for arm in by_arm}
        for arm, answers in by_arm.items():
            stamp = stamp_of(arm, self.source, isoformat(moment(answers[-1].micros / 1_000_000)))
            yield StampedRows(self._rows(self._passes[arm], answers, stamp), stamp)

    def _rows(self, row_pass: JsonRowPass, answered: list[_Answered], stamp: Stamp) -> pa.RecordBatch:
        # A prediction has its event's time as its timestamp, so that windows find it by that.
        micros = [entry.micros if entry.read is None else _micros(entry.read.event_time) for entry in answered]
        numbers = (next(self.numbers) if entry.read is None else _number(entry.read) for entry in answered)
        records = records_of([entry.event for entry in answered], micros, numbers)
        rows = row_pass.answered(records, _columns(answered, row_pass))
        rows = _with(rows, c.KEY, rows.column(c.SUBJECT).cast(pa.binary()))
        values = [None if entry.read is None else entry.answer.value for entry in answered]
        return enveloped_rows(rows, [stamp], self.to, pa.array(values, pa.binary()))


def _columns(answered: Sequence[_Answered], row_pass: JsonRowPass) -> pa.RecordBatch:
    verdicts = [
        entry.answer.value._asdict() if isinstance(entry.answer.value, Rejection) else None for entry in answered
    ]
    reads = [entry.read for entry in answered]
    return pa.record_batch(
        {
            c.VERDICT: pa.array(verdicts, VERDICT_STRUCT),
            c.PREDICTION: pa.array([None if read is None else read.prediction for read in reads], pa.float64()),
            c.CONFIDENCE: pa.array([_confidence(read) for read in reads], pa.float64()),
            **_lookups(answered, row_pass),
        }
    )


def _lookups(answered: Sequence[_Answered], row_pass: JsonRowPass) -> dict[str, pa.Array]:
    """Return what the events were given, as it was then: the table has gone on since."""
    if row_pass.lookup is None:
        return {}
    names = columns_of(row_pass)
    nothing = LookedUp("", None, {})
    events = [each.answer.looked_up or nothing for each in answered]
    types = feature_schema(row_pass.package.signature)
    looked_up = {column.name: column.type for column in types if column.name in names}
    return {
        c.LOOKUP: pa.array([event.standing or None for event in events], pa.string()),
        c.LOOKUP_AGE: pa.array([event.age for event in events], pa.int64()),
        **{name: pa.array([event.values.get(name) for event in events], kind) for name, kind in looked_up.items()},
    }


def _confidence(read: _Read | None) -> float | None:
    return None if read is None or read.confidence is None else float(read.confidence)


def _number(read: _Read) -> int:
    return int(read.prediction_id.rpartition(":")[2])


def _micros(time: str) -> int:
    return round(instant(time).timestamp() * 1_000_000)


def _with(rows: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    return rows.set_column(rows.schema.get_field_index(name), name, values)
