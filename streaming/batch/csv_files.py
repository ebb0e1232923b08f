"""CSV files to a frame of their columns: records are checked against RFC 4180, and then taken apart by Spark.

Spark's own reader goes on behind a line break inside quotes as if a row had ended there, and puts U+FFFD in place of
bytes that are not UTF-8. Afterwards nobody can tell that a value was damaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pyspark.sql import Column as Expr
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from schemas.dead_letter import Reason
from streaming.batch.csv_columns import folders, header, union
from streaming.batch.files import Listing
from streaming.batch.quotes import ROW
from streaming.batch.text import READABLE, UTF_8, VALUE, TextFiles
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.events.table import MALFORMED_ROW

FAULT = c.PREFIX + "row_fault"
"""The reason for which a row could not be taken apart; null for others."""
RECORD = c.PREFIX + "row_bytes"
"""The bytes of such a row; null for others."""

_FIELDS, _CORRUPT = c.PREFIX + "row_fields", c.PREFIX + "row_corrupt"
_OPTIONS = {
    "escape": '"',  # RFC 4180 doubles a quote; Spark's own default is a backslash
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": _CORRUPT,
}


@dataclass(frozen=True)
class CsvFiles:
    """CSV files below ``base``. ``schema`` has the columns of all their headers, and then those of their folders."""

    base: Path
    schema: StructType
    encoding: str = UTF_8

    @classmethod
    def of(cls, listing: Listing, encoding: str = UTF_8) -> CsvFiles:
        """Look at the files' headers, and at the names of their folders.

        Raises:
            ConfigurationError: a file cannot be read or has no header, or two columns differ only in case.
        """
        named = union(header(path, encoding) for path in listing.paths)
        placed = union(tuple(folders(path, listing.base)) for path in listing.paths)
        names = [*(name for name in named if name not in placed), *placed]
        return cls(listing.base, StructType([StructField(name, StringType()) for name in names]), encoding)

    def read(self, session: SparkSession, paths: Sequence[str]) -> DataFrame:
        """Return :data:`FAULT`, :data:`RECORD` and the schema's columns; null where a file does not have one.

        Raises:
            ConfigurationError: a file has no header.
            DataError: a file cannot be read.
        """
        alike: dict[tuple[str, ...], list[str]] = {}
        for path in paths:
            alike.setdefault(header(Path(path), self.encoding), []).append(path)
        frames = []
        for names, of_them in alike.items():
            placed = {path: folders(Path(path), self.base) for path in of_them}
            rows = read_rows(session, TextFiles(of_them, "csv", self.encoding, placed), names)
            columns = (_column(name, rows.columns) for name in self.schema.fieldNames())
            frames.append(rows.select(FAULT, RECORD, *columns))
        return reduce(DataFrame.unionAll, frames)


def read_rows(session: SparkSession, files: TextFiles, names: Sequence[str]) -> DataFrame:
    """Return :data:`FAULT`, :data:`RECORD`, the columns of the files' folders, and those of their one header.

    Args:
        session: where they are read.
        files: CSV files with the same columns in the same order.
        names: what to call these columns; that of a folder comes before one of the same name.

    Raises:
        DataError: a file cannot be read.
    """
    records = files.records(session)
    text = F.when(_is_row(), F.col(VALUE).cast("string"))
    schema = ", ".join(f"{quoted(name)} STRING" for name in (_CORRUPT, *names))
    # Columns by themselves, or the row would be taken apart once for each of its fields.
    parts = records.withColumn(_FIELDS, F.from_csv(text, schema, _OPTIONS)).withColumn(FAULT, _fault())
    record = F.when(F.col(FAULT).isNotNull(), F.col(VALUE)).alias(RECORD)
    placed = [name for name in records.columns if name not in (VALUE, READABLE)]
    own = [F.col(f"{_FIELDS}.{quoted(name)}").alias(name) for name in names if name not in placed]
    return parts.select(FAULT, record, *map(quoted, placed), *own)


def _is_row() -> Expr:
    text = F.col(VALUE).cast("string")
    return F.col(READABLE) & (~F.contains(text, F.lit('"')) | text.rlike(ROW))


def _fault() -> Expr:
    taken_apart = F.col(_FIELDS).isNotNull() & F.col(f"{_FIELDS}.{_CORRUPT}").isNull()
    return F.when(~F.col(READABLE), Reason.INVALID_UTF8.value).when(~taken_apart, MALFORMED_ROW)


def _column(name: str, there: Sequence[str]) -> Expr:
    return (F.col(quoted(name)) if name in there else F.lit(None).cast("string")).alias(name)
