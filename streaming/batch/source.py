"""How a batch's files are read: decided once from all of them, so that every unit is read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from streaming.batch.files import Format, Listing
from streaming.batch.footers import footer_shapes, holds_exact_doubles
from streaming.batch.headers import head_of, header_shapes
from streaming.batch.needs import Needs
from streaming.batch.readings import Reading, text_reading, typed_reading
from streaming.batch.shapes import FileShape
from streaming.batch.union import Table, unite
from streaming.errors import ConfigurationError
from streaming.events import columns as c

MALFORMED = c.PREFIX + "malformed_row"
"""The text of a CSV row that has not as many fields as the header."""
LINE = "line"
"""JSON's one input column: a line as it stands, which the stream's own decoder reads."""

_CSV = {
    "header": "true",
    "escape": '"',  # RFC 4180 doubles a quote; Spark's own default is a backslash
    "enforceSchema": "false",  # compare each file's header, or columns in another order would be mixed up
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": MALFORMED,
    "columnPruning": "false",  # or a row with too few or too many fields goes unnoticed
}


@dataclass(frozen=True)
class Source:
    """Files of one format; ``table`` has the columns of all of them, those from ``column=value`` folders at the end.

    ``shapes`` are the files' own columns by path; an empty CSV file has none, and a JSON line may have any.
    """

    session: SparkSession
    format: Format
    base: Path
    table: Table
    shapes: Mapping[str, FileShape] = field(default_factory=dict)

    @classmethod
    def of(cls, session: SparkSession, kind: Format, listing: Listing, needs: Needs) -> Source:
        """Look at the columns of every file: at a footer or a header, never at rows.

        Raises:
            ConfigurationError: a file cannot be read as ``kind``, does not go with the others, or has a column with one
                of Penstock's own names.
        """
        if kind == "json":
            return cls(session, kind, listing.base, Table(StructType([StructField(LINE, BinaryType())])))
        if kind == "parquet":
            shapes = footer_shapes(listing.paths, listing.base)
            table = unite(shapes, needs, holds_exact_doubles)
        else:
            shapes = header_shapes(listing.paths, listing.base, _Head(session))
            table = unite(shapes, needs)
        own = [name for name in table.schema.fieldNames() if name.startswith(c.PREFIX)]
        if own:
            raise ConfigurationError(f"the input's column {own[0]} begins with {c.PREFIX}, as Penstock's own do")
        return cls(session, kind, listing.base, table, shapes)

    @property
    def schema(self) -> StructType:
        """A table's columns."""
        return self.table.schema

    @property
    def folders(self) -> frozenset[str]:
        """The columns that folders name; they are text."""
        return frozenset(name for shape in self.shapes.values() for name in shape.folders)

    @property
    def malformed(self) -> str | None:
        """The column that is not null where a row could not be taken apart."""
        return MALFORMED if self.format == "csv" else None

    def read(self, paths: Sequence[str]) -> DataFrame:
        """Return a table's columns, and ``malformed``; or for JSON what Kafka's source would give of the lines.

        Files that are read alike are read together, those of each other kind behind them, always in the same order.
        """
        if self.format == "json":
            return _records(self.session.read.text([_literal(path) for path in paths], lineSep="\n"))
        alike: dict[Reading, list[str]] = {}
        for path in paths:
            if path in self.shapes:
                alike.setdefault(self._reading(self.shapes[path]), []).append(_literal(path))
        frames = [self._read(reading, files) for reading, files in alike.items()]
        return reduce(DataFrame.union, frames) if frames else self._nothing()

    def _reading(self, shape: FileShape) -> Reading:
        return typed_reading(self.schema, shape) if self.format == "parquet" else text_reading(self.schema, shape)

    def _read(self, reading: Reading, files: list[str]) -> DataFrame:
        reader = self.session.read.option("basePath", f"file://{self.base}")
        if self.format == "parquet":
            return reader.schema(StructType(list(reading.fields))).parquet(*files).select(*reading.select())
        schema = StructType([StructField(MALFORMED, StringType()), *reading.fields])
        # A header's name that is not the schema's own must not be compared with it.
        options = {**_CSV, "enforceSchema": str(reading.renamed).lower()}
        return reader.options(**options).schema(schema).csv(files).select(MALFORMED, *reading.select())

    def _nothing(self) -> DataFrame:
        malformed = [StructField(MALFORMED, StringType())] if self.malformed else []
        return self.session.createDataFrame([], StructType([*malformed, *self.schema.fields]))


@dataclass(frozen=True)
class _Head:
    """Reads a file's first bytes; Spark does where the suffix is of a codec that is Hadoop's own."""

    session: SparkSession

    def __call__(self, path: Path) -> bytes:
        if path.suffix.lower() != ".snappy":
            return head_of(path)
        return "".join(f"{row.value}\n" for row in self.session.read.text(_literal(path)).take(1)).encode()


def _records(lines: DataFrame) -> DataFrame:
    place = F.monotonically_increasing_id()
    return lines.select(
        F.lit(None).cast("binary").alias("key"),
        F.col("value").cast("binary").alias("value"),
        F.lit(None).cast("array<struct<key:string,value:binary>>").alias("headers"),
        F.spark_partition_id().alias("partition"),
        place.bitwiseAND(F.lit(2**33 - 1)).alias("offset"),
        F.lit(None).cast("timestamp").alias("timestamp"),
    )


def _literal(path: str | Path) -> str:
    """Escape what Hadoop would take for a pattern, as the files are known already; it does not unquote a URI's path."""
    return "file://" + "".join(f"\\{char}" if char in "*?[]{}\\" else char for char in str(path))
