"""Predictions and labels as Arrow tables: what the metrics need of each record, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.label import read_label
from streaming.clock import moment
from streaming.statistics.arrays import Ints

TIME = pa.timestamp("ms", "UTC")
PREDICTIONS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("event_id", pa.string()),
        ("key", pa.binary()),
        ("event_time", TIME),
        ("prediction", pa.float64()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("probability", pa.list_(pa.float64())),
        ("version", pa.int64()),
        ("role", pa.dictionary(pa.int32(), pa.string())),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("slice", pa.string()),
    ]
)
"""``partition`` and ``offset`` are the event's on the input topic. The slice's value is looked up there afterwards."""

LABELS = pa.schema(
    [
        ("identity", pa.binary()),
        ("label", pa.string()),
        ("known", TIME),
        ("offset", pa.int64()),
    ]
)
"""A record of the labels' topic. ``identity`` names its event, by id or by key and time; a null label withdraws."""

_DAY_MILLISECONDS = 86_400_000
_BLOCK = 50_000
"""Rows that are kept as Python objects at a time; an Arrow row takes a tenth of their memory."""


def tables(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of the rows, block by block; what a row leaves out is null."""
    remaining = iter(rows)
    while block := list(islice(remaining, _BLOCK)):
        yield pa.Table.from_pylist(block, schema)


def label_row(value: bytes | None, key: bytes | None, timestamp: int, offset: int) -> dict[str, Any] | None:
    """Return a record of the labels' topic as a row of :data:`LABELS`; ``None`` for what is no label of an event.

    Args:
        value: the record's.
        key: the record's.
        timestamp: the record's, in milliseconds since 1970.
        offset: the record's.
    """
    label = read_label(value)
    if label is None:
        return None
    if label.event_id is not None:
        identity = by_id(label.event_id)
    elif label.event_time is not None and key is not None:
        identity = by_time(key, label.event_time)
    else:
        return None
    known_at = label.known_at or moment(timestamp / 1000)
    return {"identity": identity, "label": label.label, "known": known_at, "offset": offset}


def by_id(event_id: str) -> bytes:
    """Return what names an event by its id."""
    return b"i" + event_id.encode()


def by_time(key: bytes, event_time: datetime) -> bytes:
    """Return what names an event by its key and time; the time comes first, as a key may hold any byte."""
    return b"t%d\0" % round(event_time.timestamp() * 1000) + key


def id_identities(predictions: pa.Table) -> pa.ChunkedArray:
    """Return :func:`by_id` of each prediction."""
    return pc.binary_join_element_wise(b"i", predictions["event_id"].cast(pa.binary()), b"")


def time_identities(predictions: pa.Table) -> pa.ChunkedArray:
    """Return :func:`by_time` of each prediction; null without a key."""
    times = predictions["event_time"].cast(pa.int64()).cast(pa.string()).cast(pa.binary())
    starts = pc.binary_join_element_wise(b"t", times, b"")
    return pc.binary_join_element_wise(starts, predictions["key"], b"\0")


def days_of(predictions: pa.Table) -> Ints:
    """Return the UTC day of each prediction's event, counted from 1970-01-01."""
    times = np.asarray(predictions["event_time"].cast(pa.int64()).to_numpy(), np.int64)
    return times // _DAY_MILLISECONDS


ONE_PREDICTION = ("prediction_id",)
ONE_EVENT = ("partition", "offset")


def distinct(predictions: pa.Table, by: Sequence[str] = ONE_PREDICTION) -> pa.Table:
    """Return each prediction once: the live engine may write one twice, with the same id.

    Args:
        predictions: with the columns ``by``.
        by: what tells them apart. Where both versions of a rollout have answered an event, their ids differ, and
            :data:`ONE_EVENT` returns the first.
    """
    rows = pa.array(range(predictions.num_rows), pa.int64())
    numbered = predictions.select(list(by)).append_column("row", rows)
    first = numbered.group_by(list(by)).aggregate([("row", "min")])["row_min"]
    return predictions if len(first) == predictions.num_rows else predictions.take(first.take(pc.sort_indices(first)))
