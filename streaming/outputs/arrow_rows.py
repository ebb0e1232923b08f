"""A scored Arrow batch to the rows the writer sends: what :mod:`streaming.outputs.envelope` makes of a scored frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas import prediction as contract
from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.arrow_verdicts import ArrowRule, rows_of, with_verdicts
from streaming.outputs.arrow_times import in_four_digits, milliseconds, written_times
from streaming.outputs.arrow_values import value_column
from streaming.outputs.envelope import HEADERS_BYTES, Stamp
from streaming.outputs.targets import Target


def enveloped_rows(
    scored: pa.RecordBatch, stamps: Sequence[Stamp], to: Target | None = None, values: pa.BinaryArray | None = None
) -> pa.RecordBatch:
    """Turn a scored batch into output rows.

    Args:
        scored: the columns of ``columns.SOURCE`` and ``columns.ENVELOPE``, the answers and the bins; what a rejected
            row has of them beside source, verdict and event time says nothing.
        stamps: what the rows of each arm have in common. With several ``columns.ARM`` has the number of each row's.
        to: the predictions' topic; what it does not take becomes a dead letter. ``None`` takes everything.
        values: the JSON of the rows that are predictions, where it has been written before.

    Returns:
        The columns that :func:`streaming.outputs.envelope.envelop` returns. The values of predictions are equal, though
        a double in them may be spelled otherwise, and so have another length. Of a rejected row subject and bins, which
        no dead letter has, may be null where the frame has some.
    """
    verdicts = scored.column(c.VERDICT)
    scored = scored.set_column(
        scored.schema.get_field_index(c.EVENT_TIME), c.EVENT_TIME, _event_times(scored, verdicts)
    )
    if values is None:
        values = _values(scored, stamps)
    traces = {
        name: first_header(scored.column(c.HEADERS), name) for name in (contract.TRACEPARENT, contract.TRACESTATE)
    }
    if to is not None:
        sizes = _sizes(values, scored, traces[contract.TRACESTATE])
        verdicts = with_verdicts(verdicts, _refusals(scored, sizes, to))
    rejected = verdicts.is_valid()
    columns = {
        "partition": scored.column(c.PARTITION),
        "offset": scored.column(c.OFFSET),
        "key": scored.column(c.KEY),
        "value": pc.if_else(rejected, scored.column(c.VALUE), values),
        "timestamp": milliseconds(scored.column(c.TIMESTAMP)),
        "reason": pc.struct_field(verdicts, "reason"),
        "field": pc.struct_field(verdicts, "field"),
        "event_time": scored.column(c.EVENT_TIME),
        "subject": scored.column(c.SUBJECT),
        "traceparent": traces[contract.TRACEPARENT],
        "tracestate": traces[contract.TRACESTATE],
        "headers": _only(scored.column(c.HEADERS), rejected),
        "bins": scored.column(c.BINS),
    }
    if c.LOOKUP in scored.schema.names:
        columns |= {"lookup": scored.column(c.LOOKUP), "lookup_age": scored.column(c.LOOKUP_AGE)}
    if len(stamps) > 1:
        columns["arm"] = scored.column(c.ARM)
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _event_times(scored: pa.RecordBatch, verdicts: pa.StructArray) -> pa.StringArray:
    """Return the rows' times; a rejected row has none if its time is outside of the years 1 to 9999."""
    moments = scored.column(c.EVENT_TIME)
    readable = pc.or_(verdicts.is_null(), pc.fill_null(in_four_digits(moments), False))
    return written_times(pc.if_else(readable, moments, pa.scalar(None, moments.type)))


def _values(scored: pa.RecordBatch, stamps: Sequence[Stamp]) -> pa.BinaryArray:
    """Return the JSON of the rows that are predictions, null for the others."""
    valid = scored.column(c.VERDICT).is_null()
    if valid.true_count == len(valid):
        return value_column(scored, stamps)
    return value_column(scored.filter(valid), stamps).take(rows_of(valid.to_numpy(zero_copy_only=False)))


def first_header(headers: pa.ListArray, name: str) -> pa.BinaryArray:
    """Return for each row the value of its first header of that name; null where it has none."""
    if headers.null_count == len(headers):
        return pa.nulls(len(headers), pa.binary())
    entries = headers.flatten()
    matching = np.flatnonzero(pc.fill_null(pc.equal(entries.field("key"), name), False).to_numpy(zero_copy_only=False))
    rows = pc.list_parent_indices(headers).to_numpy(zero_copy_only=False)[matching]
    rows, first = np.unique(rows, return_index=True)
    at = np.full(len(headers), -1)
    at[rows] = matching[first]
    return pc.struct_field(entries, "value").take(pa.array(at, mask=at < 0))


def _sizes(values: pa.BinaryArray, scored: pa.RecordBatch, tracestate: pa.BinaryArray) -> NDArray[np.int64]:
    """Return an upper bound of each record's bytes: key and subject may be of any length, other headers are bounded."""
    sizes = np.full(scored.num_rows, HEADERS_BYTES, np.int64)
    for column in (values, scored.column(c.KEY), scored.column(c.SUBJECT), tracestate):
        sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return sizes


def _refusals(scored: pa.RecordBatch, sizes: NDArray[np.int64], to: Target) -> Iterator[ArrowRule]:
    """Yield why the broker would refuse a prediction; one refused record fails its whole batch, again and again."""
    yield sizes > to.max_record_bytes, Rejection(Reason.PREDICTION_TOO_LARGE.value)
    if to.compacted:
        no_key = scored.column(c.KEY).is_null().to_numpy(zero_copy_only=False)
        yield no_key, Rejection(Reason.NO_KEY.value)


def _only(column: pa.Array, rows: pa.BooleanArray) -> pa.Array:
    """Return the column with nulls but in these rows."""
    if not rows.true_count:
        return pa.nulls(len(column), column.type)
    return pc.if_else(rows, column, pa.nulls(len(column), column.type))
