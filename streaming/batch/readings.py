"""How Parquet files of one shape are read so that they come out as the table of all files."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column as Expr
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, NullType, StructField, StructType

from streaming.batch.shapes import FileColumn, FileShape
from streaming.events.rules import quoted


@dataclass(frozen=True)
class Out:
    """One column of the table: the file's column ``source``, null if that is ``None``, as ``type``."""

    name: str
    type: DataType
    source: str | None
    nanoseconds: bool = False
    is_same: bool = False


@dataclass(frozen=True)
class Reading:
    """``fields`` is what Spark is told that the files have, ``outs`` what is made of it."""

    fields: tuple[StructField, ...]
    outs: tuple[Out, ...]

    def select(self) -> list[Expr]:
        """Return the table's columns."""
        return [_value(out).alias(out.name) for out in self.outs]


def typed_reading(schema: StructType, shape: FileShape) -> Reading:
    """Return how Parquet files of a shape are read; Spark itself gives null for what they do not have."""
    own = _own(shape)
    fields, outs = [], []
    for field in schema.fields:
        column = own.get(field.name.lower())
        if column is not None and isinstance(column.type, NullType):
            outs.append(Out(field.name, field.dataType, None))
            continue
        nanoseconds = column is not None and column.nanoseconds
        stored = column.type if column is not None and column.type is not None else field.dataType
        fields.append(StructField(field.name, LongType() if nanoseconds else stored))
        same = stored == field.dataType and not nanoseconds
        outs.append(Out(name=field.name, type=field.dataType, source=field.name, nanoseconds=nanoseconds, is_same=same))
    return Reading(tuple(fields), tuple(outs))


def _own(shape: FileShape) -> dict[str, FileColumn]:
    return {column.name.lower(): column for column in shape.effective}


def _value(out: Out) -> Expr:
    if out.source is None:
        return F.lit(None).cast(out.type)
    value = F.col(quoted(out.source))
    if out.nanoseconds:
        value = _time_of_nanoseconds(value)
    return value if out.is_same else value.cast(out.type)


def _time_of_nanoseconds(value: Expr) -> Expr:
    """Cut to microseconds, which is what Spark has; also before 1970 towards the past, as Arrow does."""
    return F.timestamp_micros(F.call_function("div", value - F.pmod(value, F.lit(1000)), F.lit(1000)))
