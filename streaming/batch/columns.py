"""A scored frame to the columns of the output files: what was scored, and what was rejected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column as Expr
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType

from schemas.dead_letter import Reason, describe
from streaming.batch.arms import BatchArm
from streaming.batch.csv_files import RECORD
from streaming.batch.source import LINE, BatchSource
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.events.rules import quoted
from streaming.events.table import MALFORMED_ROW
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.settings import BatchSettings, EventSettings

REASONS = (*(reason.value for reason in Reason), MALFORMED_ROW)
SCORED = (
    "event_id",
    "prediction",
    "label",
    "probability",
    "confidence",
    "risk_category",
    "model_name",
    "model_version",
    "batch_id",
    "predicted_at",
)
OF_ARM = ("role", "rollout", "weight_epoch")
"""What a row has beside :data:`SCORED` where a rollout's arms are followed."""
REJECTED = ("reason", "field", "message")
ROW_TEXT = "row_text"
"""The bytes of a CSV row whose fields cannot be told apart."""
BASE64 = "_base64"
"""In a format of text, the end of the name of the column for bytes that are no text."""

_OF_A_TABLE = {
    Reason.WRONG_TYPE.value: "the value does not fit the column's type in the model's signature",
    Reason.NON_FINITE.value: "the number is NaN, infinite or too large for the column's type",
    Reason.BAD_EVENT_TIME.value: "the event time is not a date and time in the years 1 to 9999",
    Reason.INVALID_UTF8.value: "the row is not text in the encoding of the file, UTF-8 unless --encoding names another",
    MALFORMED_ROW: "the row has not as many fields as the header, or a quote is not closed, or stands within a field",
}


@dataclass(frozen=True)
class BatchStamp:
    """What all rows of a unit have in common."""

    batch: str
    unit: int
    version: ModelVersion
    predicted_at: datetime


@dataclass(frozen=True)
class BatchColumns:
    """What is written of each row. ``copied`` are input columns; ``risk`` is category to lower bound.

    ``arm`` is that of all rows, where a rollout's arms are followed.
    """

    source: BatchSource
    signature: Signature
    copied: tuple[str, ...]
    risk: Mapping[str, float]
    has_ids: bool
    arm: BatchArm | None = None

    @classmethod
    def of(
        cls,
        source: BatchSource,
        signature: Signature,
        settings: BatchSettings,
        envelope: EventSettings,
        arm: BatchArm | None = None,
    ) -> BatchColumns:
        """Decide which columns are kept.

        Raises:
            ConfigurationError: one is not there, or has the name of one that is added.
        """
        added = SCORED if arm is None else (*SCORED, *OF_ARM)
        copied = _columns_to_copy(source, settings, envelope, added)
        return cls(
            source=source,
            signature=signature,
            copied=copied,
            risk=settings.risk,
            has_ids=envelope.id is not None,
            arm=arm,
        )

    @property
    def scored_names(self) -> tuple[str, ...]:
        """The names of the scored files' columns, in their order."""
        return (SCORED[0], *self.copied, *SCORED[1:], *(() if self.arm is None else OF_ARM))

    def scored(self, stamp: BatchStamp) -> list[Expr]:
        """Return a scored row's columns."""
        event_id = F.col(c.EVENT_ID) if self.has_ids else F.concat_ws("-", F.lit(stamp.unit), F.col(c.EVENT_ID))
        version = stamp.version
        added = {
            "prediction": F.col(c.PREDICTION),
            "label": F.col(c.LABEL),
            "probability": F.col(c.PROBABILITY),
            "confidence": F.col(c.CONFIDENCE),
            "risk_category": risk_category(self.risk),
            "model_name": F.lit(version.name),
            "model_version": F.lit(version.version).cast("long"),
            "batch_id": F.lit(stamp.batch),
            "predicted_at": F.lit(stamp.predicted_at).cast("timestamp"),
        }
        if self.arm is not None:
            weights = self.arm.split.weights
            added |= dict(zip(OF_ARM, map(F.lit, (self.arm.role, weights.rollout, weights.epoch)), strict=True))
        copied = [self._copied(name).alias(name) for name in self.copied]
        return [event_id.alias("event_id"), *copied, *(value.alias(name) for name, value in added.items())]

    def carried(self, *, rejected: bool) -> tuple[str, ...]:
        """Return which of a table's columns must come along with the rows, for the scored or the rejected ones."""
        if self.source.format == "json":
            return ()
        record = (RECORD,) if self.source.fault else ()
        return (*record, *self.source.schema.fieldNames()) if rejected else self.copied

    def rejected(self) -> list[Expr]:
        """Return a rejected row's columns: the input's, then why."""
        reason, field = (F.col(c.VERDICT)[name] for name in ("reason", "field"))
        message = F.concat(F.coalesce(F.concat(field, F.lit(": ")), F.lit("")), self._sentences()[reason])
        return [*self._input(), reason.alias("reason"), field.alias("field"), message.alias("message")]

    def _input(self) -> list[Expr]:
        if self.source.format == "json":
            return [F.col(c.VALUE).alias(LINE)]
        # A file of rejected rows that were mended has such columns from the time before.
        before = (*REJECTED, ROW_TEXT, ROW_TEXT + BASE64)
        names = [name for name in self.source.schema.fieldNames() if name not in before]
        text = [_of_value(RECORD).alias(ROW_TEXT)] if self.source.fault else []
        return [*(_of_value(name).alias(name) for name in names), *text]

    def _copied(self, name: str) -> Expr:
        if self.source.format != "json":
            return _of_value(name).cast("string") if name in self._bytes_read_as_text else _of_value(name)
        if name in self.signature.names:
            return F.col(quoted(name))
        parsed = F.from_json(F.col(c.VALUE).cast("string"), "MAP<STRING, VARIANT>")
        return F.try_variant_get(F.try_element_at(parsed, F.lit(name)), "$", "string")

    @property
    def _bytes_read_as_text(self) -> frozenset[str]:
        """Columns that the model reads as text and the file has as bytes; of a scored row they are valid UTF-8."""
        texts = {column.name for column in self.signature.columns if column.type == "string"}
        fields = self.source.schema.fields
        return frozenset(
            field.name for field in fields if field.name in texts and isinstance(field.dataType, BinaryType)
        )

    def _sentences(self) -> Expr:
        own = {} if self.source.format == "json" else _OF_A_TABLE
        pairs = {reason.value: describe(reason) for reason in Reason} | own
        return F.create_map(*(F.lit(word) for pair in pairs.items() for word in pair))


def positive_probability() -> Expr:
    """Return the probability of the second of two classes; null for any other model."""
    return F.when(F.size(c.PROBABILITY) == 2, F.get(c.PROBABILITY, F.lit(1)))


def risk_category(risk: Mapping[str, float]) -> Expr:
    """Return the category with the highest bound that the positive class's probability reaches."""
    probability = positive_probability()
    category = F.when(F.lit(False), F.lit(""))
    for name, least in sorted(risk.items(), key=lambda bound: -bound[1]):
        category = category.when(probability >= least, F.lit(name))
    return category


def flat(frame: DataFrame) -> DataFrame:
    """Write arrays, maps and structs as JSON text, and bytes in base64 as JSON has them, for a format that has none."""
    coded = {
        field.name: F.base64(F.col(quoted(field.name)))
        for field in frame.schema.fields
        if isinstance(field.dataType, BinaryType)
    }
    nested = [
        field.name for field in frame.schema.fields if isinstance(field.dataType, ArrayType | MapType | StructType)
    ]
    shaped = coded | {name: F.to_json(F.col(quoted(name))) for name in nested}
    return frame.withColumns(shaped) if shaped else frame


def bytes_as_text(frame: DataFrame) -> DataFrame:
    """Write a rejected row's bytes as text, or in base64 in a column of their own where they are none."""
    names = [name for name in (LINE, ROW_TEXT) if name in frame.columns and frame.schema[name].dataType == BinaryType()]
    columns = dict[str, Expr]()
    for name in names:
        text = F.col(name).cast("string")
        is_text = F.is_valid_utf8(text)
        columns |= {name: F.when(is_text, text), name + BASE64: F.when(~is_text, F.base64(F.col(name)))}
    return frame.withColumns(columns)


def _columns_to_copy(
    source: BatchSource, settings: BatchSettings, envelope: EventSettings, added: tuple[str, ...]
) -> tuple[str, ...]:
    if source.format == "json" and settings.keep == "all":
        raise ConfigurationError("the columns of JSON lines are not known beforehand; name those to keep: --keep a,b")
    names: Iterable[str] = source.schema.fieldNames() if settings.keep == "all" else settings.keep
    columns = tuple(dict.fromkeys(name for name in names if (name, name) != (envelope.id, "event_id")))
    absent = [name for name in columns if source.format != "json" and name not in source.schema.fieldNames()]
    if absent:
        raise ConfigurationError(
            f"--keep names {absent[0]}, which the input does not have; it has {', '.join(source.schema.fieldNames())}"
        )
    clash = [name for name in columns if name.lower() in added]
    if clash:
        raise ConfigurationError(
            f"the input's column {clash[0]} has the name of one that is added; rename it, or name others to keep"
        )
    return columns


def _of_value(name: str) -> Expr:
    return F.col(f"{c.VALUE}.{quoted(name)}")
