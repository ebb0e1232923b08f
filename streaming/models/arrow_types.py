"""A signature's types in Arrow."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from streaming.models.seams import Features
from streaming.models.signature import Signature

ARROW_TYPES: dict[str, pa.DataType] = {
    "double": pa.float64(),
    "float": pa.float32(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
"""MLflow's name of a column's type to Arrow's type of its values."""


def feature_schema(signature: Signature) -> pa.Schema:
    """Return the signature's columns, in their order."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in signature.columns])


def feature_batch(signature: Signature, events: Iterable[Features]) -> pa.RecordBatch:
    """Return events as rows of the signature's columns; null where an event has no value."""
    rows, schema = list(events), feature_schema(signature)
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
