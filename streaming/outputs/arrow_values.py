"""The JSON values of predictions, of Arrow batches: what all have in common is written once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas import prediction as contract
from streaming.events import columns as c
from streaming.outputs.envelope import Stamp
from streaming.outputs.value_columns import joined_values

_FEW = 200
"""Up to so many rows, writing one after the other takes less time than what each column costs by itself."""
_COLUMNS = (c.PARTITION, c.OFFSET, c.EVENT_ID, c.EVENT_TIME, c.PREDICTION, c.LABEL, c.PROBABILITY, c.CONFIDENCE)


class _OwnFields(msgspec.Struct):
    """What is one prediction's own, in the contract's order, between its id and the common fields."""

    event_id: str
    event_time: str
    prediction: float
    label: str | None
    probability: list[float | str | None] | None
    confidence: float | str | None


class _CommonFields(msgspec.Struct):
    """What predictions of one stamp have in common, in the contract's order, after their own fields."""

    scored_at: str
    model_name: str
    model_version: int
    run_id: str
    role: str


class ValueWriter:
    """Writes the values of one stamp's predictions.

    A double is the same as in the frames' JSON and may be spelled otherwise; infinity is text there as here.
    """

    def __init__(self, stamp: Stamp) -> None:
        """Write what is common."""
        version = stamp.version
        common = _CommonFields(stamp.scored_at, version.name, version.version, version.run_id, stamp.role)
        self._encode = msgspec.json.Encoder().encode
        self.head = b'{"prediction_id":' + self._encode(stamp.id_prefix)[:-1]
        """What each value begins with, up to the partition's number in the prediction's id."""
        marked = {contract.FIELD_OF_DEGRADED: stamp.degraded} if stamp.degraded else {}
        self.tail = b"," + self._encode({**msgspec.structs.asdict(common), **marked})[1:]
        """What each value ends with, from the comma after the confidence on."""

    def value(self, row: Sequence[Any]) -> bytes:
        """Return the value of a prediction; ``row`` has the columns that :func:`prediction_values` reads."""
        partition, offset, event_id, event_time, prediction, label, probability, confidence = row
        if confidence is not None and not math.isfinite(confidence):
            probability, confidence = [_spelled(number) for number in probability or ()], _spelled(confidence)
        own = _OwnFields(event_id, event_time, prediction, label, probability, confidence)
        return b'%b%d:%d",%b%b' % (self.head, partition, offset, self._encode(own)[1:-1], self.tail)


def value_column(scored: pa.RecordBatch, stamps: Sequence[Stamp]) -> pa.BinaryArray:
    """Return what :func:`prediction_values` does as a column, of many rows in half of the time."""
    joined = _joined(scored, stamps) if scored.num_rows > _FEW else None
    return pa.array(prediction_values(scored, stamps), pa.binary()) if joined is None else joined


def _joined(scored: pa.RecordBatch, stamps: Sequence[Stamp]) -> pa.BinaryArray | None:
    if len(stamps) == 1:
        writer = ValueWriter(stamps[0])
        return joined_values(scored, writer.head, writer.tail)
    arms = scored.column(c.ARM)
    present = pc.unique(arms)
    writers, numbers = [ValueWriter(stamps[arm]) for arm in present.to_pylist()], pc.index_in(arms, present)
    heads, tails = (pa.array([getattr(writer, end) for writer in writers]).take(numbers) for end in ("head", "tail"))
    return joined_values(scored, heads, tails)


def prediction_values(scored: pa.RecordBatch, stamps: Sequence[Stamp]) -> list[bytes]:
    """Return the JSON of each row, which all are predictions; ``columns.EVENT_TIME`` is text.

    With several stamps ``columns.ARM`` has the number of each row's.
    """
    rows: Iterable[tuple[Any, ...]] = zip(*(python_cells(scored.column(name)) for name in _COLUMNS), strict=True)
    if len(stamps) == 1:
        writer = ValueWriter(stamps[0])
        return [writer.value(row) for row in rows]
    arms = scored.column(c.ARM).to_pylist()
    # A batch may touch few of many models.
    writers = {arm: ValueWriter(stamps[arm]) for arm in set(arms)}
    return [writers[arm].value(row) for arm, row in zip(arms, rows, strict=True)]


def python_cells(column: pa.Array) -> list[Any]:
    """Return a column's values as Python's, by way of numpy where that is possible, which is several times as fast."""
    if column.null_count == len(column):
        return [None] * len(column)
    if column.null_count == 0 and pa.types.is_list(column.type):
        return _equally_long(column) or column.to_pylist()
    if column.null_count == 0 and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        numbers: list[Any] = column.to_numpy().tolist()
        return numbers
    cells: list[Any] = column.to_pylist()
    return cells


def _equally_long(lists: pa.ListArray) -> list[list[float]] | None:
    """Return lists of numbers that are of one length, as those of one model are; ``None`` where they are not."""
    numbers, width = lists.flatten(), len(lists[0])
    if numbers.null_count or width == 0 or not pc.all(pc.equal(pc.list_value_length(lists), width)).as_py():
        return None
    rows: list[list[float]] = numbers.to_numpy().reshape(-1, width).tolist()
    return rows


def _spelled(number: float | None) -> float | str | None:
    """Return infinity as Spark's JSON has it."""
    if number is None or math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
