"""CSV files to a frame of their columns: records are checked against RFC 4180, and then taken apart by Spark.

Spark's own reader goes on behind a line break inside quotes as if a row had ended there, and puts U+FFFD in place of
bytes that are not UTF-8. Afterwards nobody can tell that a value was damaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column as Expr
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from schemas.dead_letter import Reason
from streaming.batch.quotes import ROW
from streaming.batch.shapes import FileShape
from streaming.batch.text import READABLE, UTF_8, VALUE, TextFiles
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.events.table import MALFORMED_ROW

FAULT = c.PREFIX + "row_fault"
"""The reason for which a row could not be taken apart; null for others."""
RECORD = c.PREFIX + "row_bytes"
"""The bytes of such a row; null for others."""

_FIELDS, _CORRUPT = c.PREFIX + "row_fields", c.PREFIX + "row_corrupt"
_ASIDE = c.PREFIX + "aside_"
"""Names the columns that are read only to count them."""
_OPTIONS = {
    "escape": '"',  # RFC 4180 doubles a quote; Spark's own default is a backslash
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": _CORRUPT,
}


@dataclass(frozen=True)
class CsvFiles:
    """CSV files of one table. ``schema`` has the columns of all of them, ``shapes`` each file's own by its path."""

    schema: StructType
    shapes: Mapping[str, FileShape]
    encoding: str = UTF_8

    def read(self, session: SparkSession, paths: Sequence[str]) -> DataFrame:
        """Return :data:`FAULT`, :data:`RECORD` and the schema's columns; null where a file does not have one.

        Files with the same columns are read together, those of each other kind behind them, always in the same order.

        Raises:
            DataError: a file cannot be read.
        """
        # One frame for each kind of file: Spark takes CSV columns by position, not by name.
        alike: dict[tuple[Sequence[str], Sequence[str]], list[str]] = {}
        for path in paths:
            if shape := self.shapes.get(path):
                key = names_by_position(self.schema, shape), tuple(shape.folders)
                alike.setdefault(key, []).append(path)
        frames = [self._rows(session, files, names) for (names, _), files in alike.items()]
        return reduce(DataFrame.unionAll, frames) if frames else self._nothing(session)

    def _rows(self, session: SparkSession, paths: Sequence[str], names: Sequence[str]) -> DataFrame:
        """Read files of the same folders' columns, and of the same own ones, which ``names`` has in their order."""
        folders = {path: self.shapes[path].folders for path in paths}
        records = TextFiles(paths, "csv", self.encoding, folders).records(session)
        text = F.when(_is_row(), F.col(VALUE).cast("string"))
        schema = ", ".join(f"{quoted(name)} STRING" for name in (_CORRUPT, *names))
        # Columns by themselves, or the row would be taken apart once for each of its fields.
        parts = records.withColumn(_FIELDS, F.from_csv(text, schema, _OPTIONS)).withColumn(FAULT, _fault())
        record = F.when(F.col(FAULT).isNotNull(), F.col(VALUE)).alias(RECORD)
        values = {name.lower(): F.col(f"{_FIELDS}.{quoted(name)}") for name in names}
        values |= {name.lower(): F.col(quoted(name)) for name in self.shapes[paths[0]].folders}
        nothing = F.lit(None).cast("string")
        return parts.select(
            FAULT, record, *(values.get(name.lower(), nothing).alias(name) for name in self.schema.fieldNames())
        )

    def _nothing(self, session: SparkSession) -> DataFrame:
        own = [StructField(FAULT, StringType()), StructField(RECORD, BinaryType())]
        return session.createDataFrame([], StructType([*own, *self.schema.fields]))


def names_by_position(schema: StructType, shape: FileShape) -> tuple[str, ...]:
    """Return what the columns of a file are called in the table; those that it does not have get names of their own.

    The table has not what nothing reads and Spark could not tell apart, nor what a folder's value stands before.
    """
    folders = {name.lower() for name in shape.folders}
    names = {name.lower(): name for name in schema.fieldNames() if name.lower() not in folders}
    return tuple(names.get(column.name.lower(), f"{_ASIDE}{n}") for n, column in enumerate(shape.columns))


def _is_row() -> Expr:
    text = F.col(VALUE).cast("string")
    return F.col(READABLE) & (~F.contains(text, F.lit('"')) | text.rlike(ROW))


def _fault() -> Expr:
    taken_apart = F.col(_FIELDS).isNotNull() & F.col(f"{_FIELDS}.{_CORRUPT}").isNull()
    return F.when(~F.col(READABLE), Reason.INVALID_UTF8.value).when(~taken_apart, MALFORMED_ROW)
