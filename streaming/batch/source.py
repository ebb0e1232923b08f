"""How a batch's files are read: decided once from all of them, so that every unit is read alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from streaming.batch.files import Format, Listing
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
    """Files of one format; ``schema`` has a table's columns, those from ``column=value`` folders at the end."""

    session: SparkSession
    format: Format
    base: Path
    schema: StructType

    @classmethod
    def of(cls, session: SparkSession, kind: Format, listing: Listing) -> Source:
        """Look at the files' schema.

        Raises:
            ConfigurationError: they cannot be read as ``kind``, or a column has one of Penstock's own names.
        """
        if kind == "json":
            return cls(session, kind, listing.base, StructType([StructField(LINE, BinaryType())]))
        reader = session.read.option("basePath", f"file://{listing.base}")
        paths = [_literal(path) for path in listing.paths]
        try:
            found = reader.parquet(*paths) if kind == "parquet" else reader.options(**_CSV).csv(paths)
        except (AnalysisException, PySparkException) as problem:
            first = next(iter(str(problem).splitlines()), "")
            raise ConfigurationError(f"the input cannot be read as {kind}: {first}") from problem
        own = [name for name in found.columns if name.startswith(c.PREFIX)]
        if own:
            raise ConfigurationError(f"the input's column {own[0]} begins with {c.PREFIX}, as Penstock's own do")
        return cls(session, kind, listing.base, found.schema)

    @property
    def malformed(self) -> str | None:
        """The column that is not null where a row could not be taken apart."""
        return MALFORMED if self.format == "csv" else None

    def read(self, paths: Sequence[str]) -> DataFrame:
        """Return a table's columns, and ``malformed``; or for JSON what Kafka's source would give of the lines."""
        files = [_literal(path) for path in paths]
        if self.format == "json":
            return _records(self.session.read.text(files, lineSep="\n"))
        reader = self.session.read.option("basePath", f"file://{self.base}")
        if self.format == "parquet":
            return reader.schema(self.schema).parquet(*files)
        schema = StructType([StructField(MALFORMED, StringType()), *self.schema.fields])
        return reader.options(**_CSV).schema(schema).csv(files)


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
