"""Rows as the engine's plan hands them to the writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa


def row(offset: int, **changes: Any) -> dict[str, Any]:
    return {
        "partition": 3,
        "offset": offset,
        "key": b"key",
        "value": b"{}",
        "timestamp": 1_000,
        "reason": None,
        "field": None,
        "event_time": "2013-01-01T05:15:00.000Z",
        "subject": "N1",
        "traceparent": None,
        "tracestate": None,
        "headers": None,
        "bins": b"\x00\xff",
        **changes,
    }


SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("timestamp", pa.int64()),
        ("reason", pa.string()),
        ("field", pa.string()),
        ("event_time", pa.string()),
        ("subject", pa.string()),
        ("traceparent", pa.binary()),
        ("tracestate", pa.binary()),
        ("bins", pa.binary()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)


def batch_of_arms(arms: Sequence[int], *rows: dict[str, Any]) -> pa.RecordBatch:
    """Return rows of several arms; ``arms`` are the numbers of the rows' own."""
    one = batch(*rows)
    return pa.RecordBatch.from_arrays([*one.columns, pa.array(arms, pa.int8())], [*one.schema.names, "arm"])
