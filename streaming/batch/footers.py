"""What the footers of Parquet files say; the rows are left to Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from streaming.batch.shapes import FileColumn, FileShape, folder_columns
from streaming.errors import ConfigurationError

_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
_READERS = 8
_EXACT = 2**53
"""Up to here a double holds every whole number."""
_SIMPLE: dict[pa.DataType, DataType] = {
    pa.bool_(): BooleanType(),
    pa.int8(): ByteType(),
    pa.int16(): ShortType(),
    pa.int32(): IntegerType(),
    pa.int64(): LongType(),
    pa.uint8(): ShortType(),
    pa.uint16(): IntegerType(),
    pa.uint32(): LongType(),
    pa.uint64(): DecimalType(20, 0),
    pa.float32(): FloatType(),
    pa.float64(): DoubleType(),
    pa.string(): StringType(),
    pa.binary(): BinaryType(),
    pa.date32(): DateType(),
    pa.null(): NullType(),
}


def footer_shapes(paths: tuple[Path, ...], base: Path) -> dict[str, FileShape]:
    """Return each file's shape.

    Raises:
        ConfigurationError: a file is no whole Parquet file; it is named.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        shapes = pool.map(lambda path: FileShape(_columns(path), folder_columns(path, base)), paths)
        return {str(path): shape for path, shape in zip(paths, shapes, strict=True)}


def holds_exact_doubles(path: str, name: str) -> bool:
    """Return whether the footer proves that a column's whole numbers lose nothing as doubles."""
    metadata = _open(Path(path)).metadata
    for group in range(metadata.num_row_groups):
        if metadata.row_group(group).num_rows == 0:
            continue
        chunks = (metadata.row_group(group).column(i) for i in range(metadata.num_columns))
        stats = next(chunk.statistics for chunk in chunks if chunk.path_in_schema == name)
        if stats is None or not (stats.has_min_max or stats.num_values == 0):
            return False
        if stats.has_min_max and max(abs(stats.min), abs(stats.max)) > _EXACT:
            return False
    return True


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as problem:
        cause = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise ConfigurationError(
            f"{path} cannot be read as Parquet, it is damaged, cut off or something else: {cause.rstrip('.')}."
            " Write it again, or take it out of the input."
        ) from problem


def _columns(path: Path) -> tuple[FileColumn, ...]:
    with _open(path) as file:
        return tuple(_written_by_spark(file) or _described(file))


def _written_by_spark(file: pq.ParquetFile) -> list[FileColumn]:
    """Return the columns as Spark wrote them down, as its own reader takes them; empty if it did not."""
    try:
        text = (file.metadata.metadata or {})[_SPARK_SCHEMA]
        schema = StructType.fromJson(json.loads(text))
    except (KeyError, ValueError, ImportError, AttributeError):
        return []  # by another writer, or with a user's type whose class is not here
    if schema.fieldNames() != file.schema.to_arrow_schema().names:
        return []  # columns were added or renamed by another writer, which let the note stand
    return [FileColumn(field.name, field.dataType, field.dataType.simpleString()) for field in schema.fields]


def _described(file: pq.ParquetFile) -> Iterator[FileColumn]:
    leaves = [file.schema.column(i) for i in range(len(file.schema))]
    nanoseconds = {leaf.path for leaf in leaves if _is_nanoseconds(leaf)}
    for field in file.schema.to_arrow_schema():
        if field.name in nanoseconds:
            kind: DataType | None = TimestampType() if field.type.tz else TimestampNTZType()
        else:
            nested = any(path.startswith(f"{field.name}.") for path in nanoseconds)
            kind = None if nested else _spark_type(field.type)
        yield FileColumn(field.name, kind, str(field.type), field.name in nanoseconds)


def _is_nanoseconds(leaf: pq.ColumnSchema) -> bool:
    """Spark reads the old form of such timestamps, INT96, and not the new."""
    unit = json.loads(leaf.logical_type.to_json()).get("timeUnit")
    return bool(leaf.physical_type == "INT64" and leaf.logical_type.type == "TIMESTAMP" and unit == "nanoseconds")


def _spark_type(kind: pa.DataType) -> DataType | None:
    """Return what Spark reads a type as, ``None`` if it cannot."""
    if isinstance(kind, pa.BaseExtensionType):
        return _spark_type(kind.storage_type)
    if pa.types.is_timestamp(kind):
        return TimestampType() if kind.tz or kind.unit == "ns" else TimestampNTZType()  # nanoseconds here are INT96
    if pa.types.is_decimal(kind):
        return DecimalType(kind.precision, kind.scale) if kind.precision <= 38 and kind.scale >= 0 else None
    if pa.types.is_fixed_size_binary(kind):
        return BinaryType()
    return _nested(kind) if pa.types.is_nested(kind) else _SIMPLE.get(kind)


def _nested(kind: pa.DataType) -> DataType | None:
    if pa.types.is_map(kind):
        key, item = _spark_type(kind.key_type), _spark_type(kind.item_type)
        return MapType(key, item) if key is not None and item is not None else None
    if pa.types.is_list(kind):
        element = _spark_type(kind.value_type)
        return ArrayType(element) if element is not None else None
    parts = [(kind.field(i).name, _spark_type(kind.field(i).type)) for i in range(kind.num_fields)]
    fields = [StructField(name, part) for name, part in parts if part is not None]
    return StructType(fields) if pa.types.is_struct(kind) and len(fields) == len(parts) else None
