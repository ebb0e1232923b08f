"""A signature's types in Arrow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.models.seams import Features
from streaming.models.signature import Column, Signature

ARROW_TYPES: dict[str, pa.DataType] = {
    "double": pa.float64(),
    "float": pa.float32(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
"""MLflow's name of a column's type to Arrow's type of its values."""


_VECTOR_SIZE = b"vector_size"
"""In the metadata of a field that Spark's stages read as a vector."""


def arrow_type(column: Column) -> pa.DataType:
    """Return the type of a column's values."""
    element = ARROW_TYPES[column.type]
    return pa.list_(element) if column.is_list else element


def feature_schema(signature: Signature) -> pa.Schema:
    """Return the signature's columns, in their order."""
    return pa.schema([_field(column) for column in signature.columns])


def vector_size(field: pa.Field) -> int | None:
    """Return how many elements a column of vectors has; ``None`` of any other column."""
    size = (field.metadata or {}).get(_VECTOR_SIZE)
    return None if size is None else int(size)


def list_rows(column: pa.ListArray) -> NDArray[Any]:
    """Return n lists of k numbers as rows (n, k), in the numbers' own type.

    Raises:
        ValueError: a list is null, or they are not equally long.
    """
    if column.null_count:
        raise ValueError("a list is null, and the model has no value for that")
    lengths = np.diff(column.offsets.to_numpy())
    if (lengths != lengths[:1]).any():
        raise ValueError(f"lists have {lengths.min()} to {lengths.max()} elements, and the model needs one length")
    numbers: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return numbers.reshape(len(column), lengths[0] if len(lengths) else 0)


def _field(column: Column) -> pa.Field:
    size = {_VECTOR_SIZE: str(column.length)} if column.is_vector else None
    return pa.field(column.name, arrow_type(column), metadata=size)


def feature_batch(signature: Signature, events: Iterable[Features]) -> pa.RecordBatch:
    """Return events as rows of the signature's columns; null where an event has no value."""
    rows, schema = list(events), feature_schema(signature)
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
