"""The rows of a Parquet file, MLflow's fourth form of a body, as events.

A small file can stand for a large table: a value that comes again is a number of some bits. So what the cells would
become is counted before they are made, and text stays a dictionary until then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streaming.serving.cell_events import NULL, column_events
from streaming.serving.intake import Intake, too_large
from streaming.serving.mlflow_payloads import SCHEMA, wrong

PARQUET = "application/vnd.apache.parquet"
_OTHER = b"{}"
"""What stands for a value of a type that no column of a model has: an object, which the decoder refuses for each."""
_NUMBER_BYTES = 24


def parquet_events(body: bytes, intake: Intake) -> list[bytes]:
    """Return the events of a Parquet file. NaN is null, as pandas has it, and infinity is no number.

    Args:
        body: the file.
        intake: bounds rows and bytes.

    Raises:
        ProblemError: 400, it is no such file; 413, it has too many rows, or its cells are too large.
    """
    try:
        # Without this, Arrow would fill a buffer of its own with each column.
        file = pq.ParquetFile(pa.BufferReader(body), pre_buffer=False)
        names = [field.name for field in file.schema_arrow]
        intake.check_rows(file.metadata.num_rows)
        if _fixed_size(file) > _most(intake):
            raise _too_large()
        table = pq.ParquetFile(pa.BufferReader(body), pre_buffer=False, read_dictionary=_texts(file)).read()
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise wrong(f"the body is no Parquet file: {problem}") from None
    if len(set(names)) != len(names):
        raise wrong("the file has a column twice", SCHEMA)
    if sum(_size(column) for column in table.columns) > _most(intake):
        raise _too_large()
    return column_events({name: _cells(table.column(name)) for name in names})


def _most(intake: Intake) -> int:
    return 4 * intake.max_body_bytes


def _too_large() -> Exception:
    return too_large("the rows of the file would be larger than four times serve.max_body_bytes; send fewer")


def _texts(file: pq.ParquetFile) -> list[str]:
    """Return the columns whose values have a length of their own; raises ``ProblemError``, 400, for nested ones."""
    columns = [file.schema.column(position) for position in range(len(file.schema))]
    nested = [column.path for column in columns if column.max_repetition_level or column.path != column.name]
    if nested:
        raise wrong(f"the file has nested columns or lists, which are taken as JSON alone: {', '.join(nested)}")
    return [column.name for column in columns if column.physical_type == "BYTE_ARRAY"]


def _fixed_size(file: pq.ParquetFile) -> int:
    """Return how many bytes the values of columns of one length each take in memory, and the file's own pages."""
    columns = [file.schema.column(position) for position in range(len(file.schema))]
    fixed = sum(column.length for column in columns if column.physical_type == "FIXED_LEN_BYTE_ARRAY")
    pages = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    return int(fixed * file.metadata.num_rows + pages)


def _size(column: pa.ChunkedArray) -> int:
    """Return about how many bytes the cells of a column become."""
    if not pa.types.is_dictionary(column.type):
        return _NUMBER_BYTES * len(column)
    size = 0
    for chunk in column.chunks:
        lengths = pc.fill_null(pc.binary_length(chunk.dictionary), 0)
        size += pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0
    return size


def _cells(column: pa.ChunkedArray) -> list[bytes]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    write = next((write for is_of, write in _WRITERS.items() if is_of(kind)), None)
    if write is None:
        return [_OTHER if valid else NULL for valid in column.is_valid().to_pylist()]
    return [NULL if value is None else write(value) for value in column.to_pylist()]


def _real(value: float) -> bytes:
    if np.isnan(value):
        return NULL
    # Larger than all doubles, so that the decoder says what is wrong with it.
    return msgspec.json.encode(value) if np.isfinite(value) else b"1e999" if value > 0 else b"-1e999"


_WRITERS: Mapping[Callable[[pa.DataType], bool], Callable[[Any], bytes]] = {
    pa.types.is_string: msgspec.json.encode,
    pa.types.is_large_string: msgspec.json.encode,
    pa.types.is_boolean: msgspec.json.encode,
    pa.types.is_integer: msgspec.json.encode,
    pa.types.is_floating: _real,
}
"""Which type is meant to what makes JSON of a value."""
