"""How a batch's files are read: decided once from all of them, so that every unit is read alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StructField, StructType

from streaming.batch.csv_files import FAULT, CsvFiles
from streaming.batch.files import Format, Listing
from streaming.batch.text import UTF_8, VALUE, TextFiles
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.hadoop_paths import to_read

LINE = "line"
"""JSON's one input column: a line as it stands, which the stream's own decoder reads."""


@dataclass(frozen=True)
class Source:
    """Files of one format; ``schema`` has a table's columns, those from ``column=value`` folders at the end."""

    session: SparkSession
    format: Format
    base: Path
    schema: StructType
    encoding: str = UTF_8

    @classmethod
    def of(cls, session: SparkSession, kind: Format, listing: Listing, encoding: str = UTF_8) -> Source:
        """Look at the files' schema. ``encoding`` is CSV's, as Python names it.

        Raises:
            ConfigurationError: they cannot be read as ``kind``, or a column has one of Penstock's own names.
        """
        if kind == "json":
            return cls(session, kind, listing.base, StructType([StructField(LINE, BinaryType())]))
        schema = CsvFiles.of(listing, encoding).schema if kind == "csv" else _of_parquet(session, listing)
        own = [name for name in schema.fieldNames() if name.startswith(c.PREFIX)]
        if own:
            raise ConfigurationError(f"the input's column {own[0]} begins with {c.PREFIX}, as Penstock's own do")
        return cls(session, kind, listing.base, schema, encoding)

    @property
    def fault(self) -> str | None:
        """The column that says why a row could not be taken apart, null for others; ``None`` where all can."""
        return FAULT if self.format == "csv" else None

    def read(self, paths: Sequence[str]) -> DataFrame:
        """Return a table's columns, and ``fault``; or for JSON what Kafka's source would give of the lines.

        Raises:
            DataError: a text file cannot be read; Spark finds out about others later.
        """
        if self.format == "json":
            return _as_events(TextFiles(paths, "json").records(self.session))
        if self.format == "csv":
            return CsvFiles(self.base, self.schema, self.encoding).read(self.session, paths)
        reader = self.session.read.option("basePath", f"file://{self.base}")
        return reader.schema(self.schema).parquet(*map(to_read, paths))


def _of_parquet(session: SparkSession, listing: Listing) -> StructType:
    reader = session.read.option("basePath", f"file://{listing.base}")
    try:
        return reader.parquet(*map(to_read, listing.paths)).schema
    except (AnalysisException, PySparkException) as problem:
        first = next(iter(str(problem).splitlines()), "")
        raise ConfigurationError(f"the input cannot be read as parquet: {first}") from problem


def _as_events(lines: DataFrame) -> DataFrame:
    place = F.monotonically_increasing_id()
    return lines.select(
        F.lit(None).cast("binary").alias("key"),
        F.col(VALUE).alias("value"),
        F.lit(None).cast("array<struct<key:string,value:binary>>").alias("headers"),
        F.spark_partition_id().alias("partition"),
        place.bitwiseAND(F.lit(2**33 - 1)).alias("offset"),
        F.lit(None).cast("timestamp").alias("timestamp"),
    )
