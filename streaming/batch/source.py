"""How a batch's files are read: decided once from all of them, so that every unit is read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StructField, StructType

from streaming.batch.csv_files import FAULT, CsvFiles
from streaming.batch.files import Format, Listing
from streaming.batch.footers import footer_shapes, holds_exact_doubles
from streaming.batch.headers import header_shapes
from streaming.batch.needs import Needs
from streaming.batch.readings import Reading, typed_reading
from streaming.batch.shapes import FileShape
from streaming.batch.text import UTF_8, VALUE, TextFiles
from streaming.batch.union import Table, unite
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.hadoop_paths import to_read

LINE = "line"
"""JSON's one input column: a line as it stands, which the stream's own decoder reads."""


@dataclass(frozen=True)
class BatchSource:
    """Files of one format; ``table`` has the columns of all of them, those from ``column=value`` folders at the end.

    ``shapes`` are the files' own columns by path; an empty CSV file has none, and a JSON line may have any.
    ``encoding`` is CSV's, as Python names it.
    """

    session: SparkSession
    format: Format
    base: Path
    table: Table
    shapes: Mapping[str, FileShape] = field(default_factory=dict)
    encoding: str = UTF_8

    @classmethod
    def of(
        cls, session: SparkSession, kind: Format, listing: Listing, needs: Needs, encoding: str = UTF_8
    ) -> BatchSource:
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
            shapes = header_shapes(listing.paths, listing.base, encoding)
            table = unite(shapes, needs)
        own = [name for name in table.schema.fieldNames() if name.startswith(c.PREFIX)]
        if own:
            raise ConfigurationError(
                f"the input's column {own[0]} begins with {c.PREFIX}, as Penstock's own do; rename it"
            )
        return cls(session, kind, listing.base, table, shapes=shapes, encoding=encoding)

    @property
    def schema(self) -> StructType:
        """A table's columns."""
        return self.table.schema

    @property
    def folders(self) -> frozenset[str]:
        """The columns that folders name; they are text."""
        return frozenset(name for shape in self.shapes.values() for name in shape.folders)

    @property
    def fault(self) -> str | None:
        """The column that says why a row could not be taken apart, null for others; ``None`` where all can."""
        return FAULT if self.format == "csv" else None

    def read(self, paths: Sequence[str]) -> DataFrame:
        """Return a table's columns, and ``fault``; or for JSON what Kafka's source would give of the lines.

        Files that are read alike are read together, those of each other kind behind them, always in the same order.

        Raises:
            DataError: a text file cannot be read; Spark finds out about others later.
        """
        if self.format == "json":
            return _as_events(TextFiles(paths, "json").records(self.session))
        if self.format == "csv":
            return CsvFiles(self.schema, self.shapes, self.encoding).read(self.session, paths)
        alike: dict[Reading, list[str]] = {}
        for path in paths:
            alike.setdefault(typed_reading(self.schema, self.shapes[path]), []).append(to_read(path))
        return reduce(DataFrame.union, (self._read_parquet(reading, files) for reading, files in alike.items()))

    def _read_parquet(self, reading: Reading, files: list[str]) -> DataFrame:
        reader = self.session.read.option("basePath", f"file://{self.base}")
        return reader.schema(StructType(list(reading.fields))).parquet(*files).select(*reading.select())


def _as_events(lines: DataFrame) -> DataFrame:
    row = F.monotonically_increasing_id()
    return lines.select(
        F.lit(None).cast("binary").alias("key"),
        F.col(VALUE).alias("value"),
        F.lit(None).cast("array<struct<key:string,value:binary>>").alias("headers"),
        F.spark_partition_id().alias("partition"),
        # Spark's number has the partition above its lower 33 bits, which count the rows.
        row.bitwiseAND(F.lit(2**33 - 1)).alias("offset"),
        F.lit(None).cast("timestamp").alias("timestamp"),
    )
