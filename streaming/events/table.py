"""A table's typed columns to a verdict and the model's columns, by the rules that hold for JSON.

Nothing goes through JSON: a column that has the model's type is used as it is. A rejected row stays in the frame,
masked, as it does in a stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import or_

from pyspark.sql import Column as Expr
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    DataType,
    DateType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from schemas.dead_letter import Reason, Rejection
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.events.casts import WHOLE, Cast, cast_for, never_fails, text_of, whole_number
from streaming.events.rules import (
    Rule,
    check_names,
    first_of,
    guard_rules,
    masked_features,
    poison_rules,
    quoted,
    raw,
    raw_name,
    sql_type,
    time_of_day,
    time_of_millis,
    time_of_text,
    time_rule,
    value_rules,
)
from streaming.models.seams import Features, Guard, Poison
from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings

MALFORMED_ROW = "MALFORMED_ROW"
"""The reason of a row that its file's reader could not take apart; text formats have such."""
FAULTS = (MALFORMED_ROW, Reason.INVALID_UTF8.value)

_ID, _KEY, _TIME, _TIME_GIVEN = (c.PREFIX + name for name in ("id_read", "key_read", "time_read", "time_given"))
_FAULT = c.PREFIX + "fault"
_ROW_IN_TASK = 2**33 - 1
_INSTANTS = (TimestampType, TimestampNTZType, DateType)
_TEXT = (StringType, BinaryType)


@dataclass(frozen=True)
class TableDecoder:
    """A :class:`streaming.models.seams.Decoder` of the rows of a table of ``schema``.

    A row's partition and offset are its task and its place there, which are the same whenever the same files are read.
    """

    signature: Signature
    envelope: EventSettings
    safe_row: Features
    schema: StructType
    guards: tuple[Guard, ...] = ()
    carried: tuple[str, ...] = ()
    """The table's columns that come along untouched, in the struct that stands where a record's value would."""
    fault: str | None = None
    """The column with the reason for which a row could not be taken apart, one of :data:`FAULTS`; null for others."""
    folders: frozenset[str] = frozenset()
    """Columns that folders name, as text. There a day alone is a time: its first moment."""
    poison: Poison = ()

    def __post_init__(self) -> None:
        """Refuse a table that cannot be scored as a whole.

        Raises:
            CandidateRefusedError: as for JSON.
            ConfigurationError: a column is not there, or no value of it can be what the model reads.
        """
        check_names(self.signature, self.envelope)
        problems = list(self._unmet())
        if problems:
            raise ConfigurationError(
                f"the table does not fit the model and the settings: {'; '.join(problems)}."
                f" It has {', '.join(self.schema.fieldNames())}; names are compared exactly."
            )

    def __call__(self, rows: DataFrame) -> DataFrame:
        """Turn the table's columns into the decoder's; key, headers and timestamp are null."""
        frame = rows
        for selection in self._selections:
            frame = frame.select(*selection)
        return frame

    def masking_with(self, safe_row: Features) -> TableDecoder:
        """Return the decoder with another safe row."""
        return replace(self, safe_row=safe_row)

    def rejecting(self, poison: Poison) -> TableDecoder:
        """Return the decoder with these rows as its poison."""
        return replace(self, poison=poison)

    def _unmet(self) -> Iterator[str]:
        for column in self.signature.columns:
            kind = self._type(column.name)
            if kind is None and column.required:
                yield f"it has no column {column.name}{self._near(column.name)}, which the model needs as {column.kind}"
            elif kind is not None and cast_for(column, kind) is None:
                yield f"{column.name} is {kind.simpleString()} and the model reads {column.kind}"
        for role, name in (("id", self.envelope.id), ("key", self.envelope.key)):
            yield from self._unmet_role(role, name, (*_TEXT, *WHOLE))
        epoch = self.envelope.time_format == "epoch_ms"
        yield from self._unmet_role("time", self.envelope.time, (*_TEXT, *_INSTANTS, *(WHOLE if epoch else ())))

    def _unmet_role(self, role: str, name: str | None, fitting: tuple[type[DataType], ...]) -> Iterator[str]:
        kind = self._type(name) if name else None
        if name and kind is None:
            remedy = f"set event.{role} to another column, or to null if there is none"
            yield f"it has no column {name}{self._near(name)}; {remedy}"
        elif name and not isinstance(kind, fitting):
            yield f"{name} is {kind.simpleString() if kind else 'absent'}, which event.{role} cannot be"

    def _near(self, name: str) -> str:
        near = [other for other in self.schema.fieldNames() if other.lower() == name.lower()]
        return f" but {near[0]}, which differs in case" if near else ""

    def _type(self, name: str) -> DataType | None:
        return self.schema[name].dataType if name in self.schema.fieldNames() else None

    @cached_property
    def _selections(self) -> tuple[list[Expr], ...]:
        """Made once, as the decoder's are."""
        source = [F.col(name) for name in c.SOURCE]
        everything = F.col("*")
        event_id = F.col(_ID) if self.envelope.id else F.concat_ws("-", F.col(c.PARTITION), F.col(c.OFFSET))
        envelope = [event_id.alias(c.EVENT_ID), F.col(c.EVENT_TIME), F.col(_KEY).alias(c.SUBJECT)]
        return (
            [*self._source(), *self._envelope_read(), *self._features_read()],
            # Columns by themselves, because they are used several times and would be computed as often.
            [everything, self._event_time().alias(c.EVENT_TIME)],
            [everything, first_of(self._rules()).alias(c.VERDICT)],
            [*source, *envelope, F.col(c.VERDICT), *masked_features(self.signature, self.safe_row)],
        )

    def _source(self) -> list[Expr]:
        row_number = F.monotonically_increasing_id()  # the task's number above, the row's in the lower 33 bits
        value = F.struct(*(F.col(quoted(name)) for name in self.carried)) if self.carried else _nothing("string")
        fault = F.col(quoted(self.fault)) if self.fault else _nothing("string")
        return [
            _nothing("binary").alias(c.KEY),
            value.alias(c.VALUE),
            _nothing("array<struct<key:string,value:binary>>").alias(c.HEADERS),
            F.spark_partition_id().alias(c.PARTITION),
            row_number.bitwiseAND(F.lit(_ROW_IN_TASK)).alias(c.OFFSET),
            _nothing("timestamp").alias(c.TIMESTAMP),
            fault.alias(_FAULT),
        ]

    def _envelope_read(self) -> list[Expr]:
        out = []
        for name, role in ((self.envelope.id, _ID), (self.envelope.key, _KEY)):
            out.append((self._text_or_value(name).cast("string") if name else _nothing("string")).alias(role))
            if name and self._is_bytes(name):
                out.append(F.col(quoted(name)).isNotNull().alias(_given_name(role)))
        if self.envelope.time:
            column, value = F.col(quoted(self.envelope.time)), self._text_or_value(self.envelope.time)
            out += [column.isNotNull().alias(_TIME_GIVEN), self._time_read(value).alias(_TIME)]
        return out

    def _text_or_value(self, name: str) -> Expr:
        column = F.col(quoted(name))
        return text_of(column) if self._is_bytes(name) else column

    def _is_bytes(self, name: str) -> bool:
        return isinstance(self._type(name), BinaryType)

    def _time_read(self, column: Expr) -> Expr:
        name = self.envelope.time or ""
        kind = StringType() if self._is_bytes(name) else self._type(name)
        if isinstance(kind, _INSTANTS):
            return column.cast("timestamp")
        number: Cast | None = whole_number(kind) if kind else None
        return number(column) if number and self.envelope.time_format == "epoch_ms" else column

    def _features_read(self) -> list[Expr]:
        out = []
        for column in self.signature.columns:
            kind = self._type(column.name)
            cast = cast_for(column, kind) if kind else None
            field = F.col(quoted(column.name))
            out.append((cast(field) if cast else _nothing(sql_type(column))).alias(raw_name(column.name)))
            if self._may_fail(column):
                out.append(field.isNotNull().alias(_given_name(column.name)))
        return out

    def _may_fail(self, column: Column) -> bool:
        kind = self._type(column.name)
        # A list that could fail was refused with its column.
        return kind is not None and not column.is_list and not never_fails(column.type, kind)

    def _event_time(self) -> Expr:
        if self.envelope.time is None:
            return F.col(c.TIMESTAMP)
        if isinstance(self._type(self.envelope.time), _INSTANTS):
            return F.col(_TIME)
        if self.envelope.time_format == "epoch_ms":
            return time_of_millis(F.col(_TIME))
        return (time_of_day if self.envelope.time in self.folders else time_of_text)(F.col(_TIME))

    def _rules(self) -> list[Rule]:
        """Return the rules in the order of JSON's: envelope, values, wrong types, guards."""
        columns = self.signature.columns
        mistyped = {column.name: self._mistyped(column) for column in columns if self._may_fail(column)}
        unread = reduce(or_, mistyped.values(), F.lit(False))
        return [
            *poison_rules(self.poison),
            *((F.col(_FAULT) == reason, Rejection(reason)) for reason in (FAULTS if self.fault else ())),
            *self._envelope_rules(unread),
            *(rule for column in columns for rule in value_rules(column, unread)),
            *((wrong, Rejection(Reason.WRONG_TYPE.value, name)) for name, wrong in mistyped.items()),
            *guard_rules(self.guards),
        ]

    def _mistyped(self, column: Column) -> Expr:
        return F.col(quoted(_given_name(column.name))) & raw(column.name).isNull()

    def _envelope_rules(self, unread: Expr) -> Iterator[Rule]:
        for name, role in ((self.envelope.id, _ID), (self.envelope.key, _KEY)):
            if name and self._is_bytes(name):
                unreadable = F.col(quoted(_given_name(role))) & F.col(role).isNull()
                yield unreadable, Rejection(Reason.WRONG_TYPE.value, name)
            if name:
                yield F.col(role).isNull(), Rejection(Reason.MISSING_FIELD.value, name)
        time = self.envelope.time
        if time:
            yield ~F.col(_TIME_GIVEN), Rejection(Reason.MISSING_FIELD.value, time)
            yield F.col(_TIME).isNull(), Rejection(Reason.WRONG_TYPE.value, time)
            yield time_rule(time, unread)


def _nothing(kind: str) -> Expr:
    return F.lit(None).cast(kind)


def _given_name(name: str) -> str:
    return f"{c.PREFIX}given_{name}"
