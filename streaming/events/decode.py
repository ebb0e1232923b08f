"""A record's bytes to typed columns and a verdict, in the JVM, for every engine.

Spark's ``from_json`` alone is no judge: it takes trailing garbage, duplicate keys, an object for a string and 1e400.
Three looks at the same text make it strict:

1. ``from_json`` of ``{"r": <text>}`` gives the typed columns, and strings as VARIANT so that their JSON type is known.
2. ``try_parse_json`` of ``[<text>]`` refuses duplicate keys. What follows a complete value must now be legal both
   inside an object and inside an array; nothing is, so trailing garbage fails one of the two.
3. Numbers must be finite.

docs/events.md states the rules; docs/decisions/0005-strict-json.md says why these looks suffice.

A rejected row stays in the frame (a second, filtered branch would read Kafka twice) with the features of a row known to
be good, so that the pipeline runs over it without harm; its output is never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import Column as Expr
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.dead_letter import Reason
from streaming.errors import CandidateRefusedError
from streaming.events import columns as c
from streaming.events.guards import Guard
from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings

_JSON, _STRICT, _PARSABLE, _TEXT = (c.PREFIX + n for n in ("json", "strict", "parsable", "text"))
_CORRUPT = c.PREFIX + "corrupt"
_SQL_TYPES = {
    "double": "DOUBLE",
    "float": "FLOAT",
    "long": "BIGINT",
    "integer": "INT",
    "boolean": "BOOLEAN",
    "string": "STRING",
}
_ID_TYPES = ("STRING", "BIGINT")
"""Many producers number their events; the id travels on as text."""
_ISO_TIME = r"\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)?)?\z"
"""RFC 3339, where seconds and zone (UTC then) may be missing. Spark's cast alone also takes ``2013`` and ``EST``."""
_YEARS = (-62_135_596_800_000, 253_402_300_800_000)
"""The first millisecond of year 1 and of year 10000: four digits hold what lies between."""


Rule = tuple[Expr, str]
"""A condition, and the verdict of a row that meets it."""


@dataclass(frozen=True)
class Decoder:
    """How one model version's events are read. ``safe_row`` has a value for every column of the signature."""

    signature: Signature
    envelope: EventSettings
    max_value_bytes: int
    safe_row: dict[str, Any]
    guards: tuple[Guard, ...] = ()
    poison: tuple[tuple[int, int], ...] = ()
    """Partition and offset of rows on which the pipeline was seen to throw."""

    def __post_init__(self) -> None:
        """Refuse a column that the envelope reads as text and the model as a number, and names that Spark confuses."""
        named = {name for name in (self.envelope.id, self.envelope.key, self.envelope.time) if name}
        for column in self.signature.columns:
            if column.name in named and column.type != "string":
                raise CandidateRefusedError(
                    "ENVELOPE_CLASH",
                    f"the model reads {column.name!r} as {column.type}, the event's envelope as text;"
                    " name another field in event.id, event.time or event.key",
                )
        spellings: dict[str, str] = {}
        for name in sorted({*named, *self.signature.names}):
            if spellings.setdefault(name.lower(), name) != name:
                raise CandidateRefusedError(
                    "SIGNATURE_UNSUPPORTED",
                    f"the fields {spellings[name.lower()]!r} and {name!r} differ only in case, which Spark cannot tell"
                    " apart; rename one",
                )

    def __call__(self, records: DataFrame) -> DataFrame:
        """Turn Kafka's columns into the source columns, the envelope with its verdict, and the features.

        Args:
            records: key, value, headers, partition, offset, timestamp; as Spark's Kafka source gives them.

        Returns:
            One row per record, in the record's partition and order.
        """
        frame = records
        for selection in self._selections:
            frame = frame.select(*selection)
        return frame

    @cached_property
    def _selections(self) -> tuple[list[Expr], ...]:
        """Made once: building an expression from Python is a call into the JVM each, hundreds for one batch."""
        everything, source = F.col("*"), [F.col(name) for name in c.SOURCE]
        return (
            [*(F.col(name.removeprefix(c.PREFIX)).alias(name) for name in c.SOURCE)],
            [everything, self._parsable().alias(_PARSABLE)],
            [everything, F.when(F.col(_PARSABLE), _text()).alias(_TEXT)],
            [everything, *self._parsed()],
            [*source, F.col(_PARSABLE), F.col(_STRICT), F.col(_JSON), *self._extracted()],
            # Columns by themselves, because they are used several times and would be computed as often.
            [everything, self._event_time().alias(c.EVENT_TIME)],
            [everything, self._verdict().alias(c.VERDICT)],
            [*source, *self._envelope_columns(), F.col(c.VERDICT), *self._masked_features()],
        )

    def _parsable(self) -> Expr:
        # In this order, so that UTF-8 is never checked on a value that is too long to look at.
        short = F.col(c.VALUE).isNotNull() & (F.octet_length(c.VALUE) <= self.max_value_bytes)
        return short & F.is_valid_utf8(_text())

    def _parsed(self) -> list[Expr]:
        options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT, "allowNonNumericNumbers": "false"}
        wrapped = _wrapped(F.col(_TEXT))
        listed = F.concat(F.lit("["), F.col(_TEXT), F.lit("]"))
        strict = F.try_parse_json(listed).isNotNull()
        return [F.from_json(wrapped, self._schema(), options).alias(_JSON), strict.alias(_STRICT)]

    def _schema(self) -> str:
        fields = {name: "VARIANT" for name in (self.envelope.id, self.envelope.key) if name}
        if self.envelope.time:
            fields[self.envelope.time] = "VARIANT" if self.envelope.time_format == "iso8601" else "BIGINT"
        for column in self.signature.columns:
            fields[column.name] = "VARIANT" if column.type == "string" else _SQL_TYPES[column.type]
        inner = ", ".join(f"{_quoted(name)}: {kind}" for name, kind in fields.items())
        return f"r STRUCT<{inner}>, {_CORRUPT} STRING"

    def _extracted(self) -> list[Expr]:
        """Every field under a name of its own, and for a variant its JSON type."""
        out = []
        for name in self._variants():
            leaf = F.col(f"{_JSON}.r.{_quoted(name)}")
            out += [
                F.schema_of_variant(leaf).alias(_kind_name(name)),
                F.try_variant_get(leaf, "$", "string").alias(_raw_name(name)),
            ]
        for name in self._typed():
            out.append(F.col(f"{_JSON}.r.{_quoted(name)}").alias(_raw_name(name)))
        return out

    def _variants(self) -> list[str]:
        envelope = [self.envelope.id, self.envelope.key]
        if self.envelope.time_format == "iso8601":
            envelope.append(self.envelope.time)
        strings = [column.name for column in self.signature.columns if column.type == "string"]
        return list(dict.fromkeys([name for name in envelope if name] + strings))

    def _typed(self) -> list[str]:
        typed = [column.name for column in self.signature.columns if column.type != "string"]
        if self.envelope.time and self.envelope.time_format == "epoch_ms":
            typed.append(self.envelope.time)
        return [name for name in dict.fromkeys(typed) if name not in self._variants()]

    def _verdict(self) -> Expr:
        """The first thing wrong with a row, in an order from the bytes inwards; null if nothing is."""
        value = F.col(c.VALUE)
        rules = [
            *((rows, Reason.SCORING_FAILED.value) for rows in _places(self.poison)),
            (value.isNull(), Reason.TOMBSTONE.value),
            (F.octet_length(value) > self.max_value_bytes, Reason.OVERSIZE.value),
            (~F.col(_PARSABLE), Reason.INVALID_UTF8.value),
            (~F.col(_STRICT), Reason.MALFORMED_JSON.value),
            # Blank, or several values: only the list takes these.
            (F.col(f"{_JSON}.r").isNull() & F.try_parse_json(_wrapped(_text())).isNull(), Reason.MALFORMED_JSON.value),
            (F.col(f"{_JSON}.r").isNull(), Reason.NOT_AN_OBJECT.value),
            *self._envelope_rules(),
            *(rule for column in self.signature.columns for rule in _feature_rules(column)),
        ]
        guarded = [(guard.fails(_raw(guard.column)), f"{guard.reason.value}:{guard.column}") for guard in self.guards]
        verdict = F.when(F.lit(False), F.lit(""))
        for fails, name in rules:
            verdict = verdict.when(fails, F.lit(name))
        # A typed column of the wrong type is null in the result and marks the record as corrupt. Finding out which
        # column it was is slow, and only rejected rows get this far.
        verdict = verdict.when(_is_corrupt(), self._mistyped())
        for fails, name in guarded:
            verdict = verdict.when(fails, F.lit(name))
        return verdict

    def _envelope_rules(self) -> list[Rule]:
        rules: list[Rule] = []
        for name in (self.envelope.id, self.envelope.key):
            if name:
                rules.append((_is_absent(name), f"{Reason.MISSING_FIELD.value}:{name}"))
                rules.append((~_kind(name).isin(*_ID_TYPES), f"{Reason.WRONG_TYPE.value}:{name}"))
        time = self.envelope.time
        if time and self.envelope.time_format == "iso8601":
            rules.append((_is_absent(time), f"{Reason.MISSING_FIELD.value}:{time}"))
            rules.append((_kind(time) != "STRING", f"{Reason.WRONG_TYPE.value}:{time}"))
        elif time:
            rules.append((_raw(time).isNull() & ~_is_corrupt(), f"{Reason.MISSING_FIELD.value}:{time}"))
        if time:
            moment, (first, after) = F.col(c.EVENT_TIME), (F.timestamp_millis(F.lit(edge)) for edge in _YEARS)
            bad = (moment.isNull() & ~_is_corrupt()) | (moment < first) | (moment >= after)
            rules.append((bad, f"{Reason.BAD_EVENT_TIME.value}:{time}"))
        return rules

    def _mistyped(self) -> Expr:
        # A map, because a variant's path has no way to write a name with quotes.
        fields = F.from_json(_text(), "MAP<STRING, VARIANT>")
        found = []
        for name in self._typed():
            given = F.try_element_at(fields, F.lit(name))
            wrong = _raw(name).isNull() & given.isNotNull() & ~F.is_variant_null(given)
            found.append(F.when(wrong, F.lit(f"{Reason.WRONG_TYPE.value}:{name}")))
        return F.coalesce(*found, F.lit(Reason.WRONG_TYPE.value))

    def _event_time(self) -> Expr:
        time = self.envelope.time
        if time is None:
            return F.col(c.TIMESTAMP)
        text = _raw(time)
        if self.envelope.time_format == "epoch_ms":
            # Beyond its range the function throws, which would fail every row of the batch.
            return F.when(text.between(_YEARS[0], _YEARS[1] - 1), F.timestamp_millis(text))
        return F.when(text.rlike(_ISO_TIME), text.try_cast("timestamp"))

    def _envelope_columns(self) -> list[Expr]:
        position = F.concat_ws("-", F.col(c.PARTITION), F.col(c.OFFSET))
        event_id = _raw(self.envelope.id) if self.envelope.id else position
        subject = _raw(self.envelope.key) if self.envelope.key else F.try_validate_utf8(F.col(c.KEY).cast("string"))
        return [event_id.alias(c.EVENT_ID), F.col(c.EVENT_TIME), subject.alias(c.SUBJECT)]

    def _masked_features(self) -> list[Expr]:
        valid = F.col(c.VERDICT).isNull()
        out = []
        for column in self.signature.columns:
            safe = F.lit(self.safe_row[column.name]).cast(_SQL_TYPES[column.type])
            out.append(F.when(valid, _raw(column.name)).otherwise(safe).alias(column.name))
        return out


def _text() -> Expr:
    return F.col(c.VALUE).cast("string")


def _wrapped(text: Expr) -> Expr:
    return F.concat(F.lit('{"r":'), text, F.lit("}"))


def _feature_rules(column: Column) -> list[Rule]:
    name, value = column.name, _raw(column.name)
    rules: list[Rule] = []
    if column.type == "string":
        rules.append((~_kind(name).isin("STRING", "VOID"), f"{Reason.WRONG_TYPE.value}:{name}"))
    if column.is_floating:
        rules.append((F.abs(value) == float("inf"), f"{Reason.NON_FINITE.value}:{name}"))
    if column.required:
        rules.append((value.isNull() & ~_is_corrupt(), f"{Reason.MISSING_FIELD.value}:{name}"))
    return rules


def _places(poison: tuple[tuple[int, int], ...]) -> list[Expr]:
    """One condition per partition: a row is one of the poisoned offsets."""
    by_partition: dict[int, list[int]] = {}
    for partition, offset in poison:
        by_partition.setdefault(partition, []).append(offset)
    return [(F.col(c.PARTITION) == p) & F.col(c.OFFSET).isin(offsets) for p, offsets in by_partition.items()]


def _is_corrupt() -> Expr:
    return F.col(f"{_JSON}.{_CORRUPT}").isNotNull()


def _is_absent(name: str) -> Expr:
    return _kind(name).isNull() | (_kind(name) == "VOID")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _raw(name: str) -> Expr:
    """The field as it was parsed, before masking."""
    return F.col(_quoted(_raw_name(name)))


def _raw_name(name: str) -> str:
    return f"{c.PREFIX}raw_{name}"


def _kind(name: str) -> Expr:
    """A variant field's JSON type: ``STRING``, ``BIGINT``, ``VOID`` for null; SQL null where the field is absent."""
    return F.col(_quoted(_kind_name(name)))


def _kind_name(name: str) -> str:
    return f"{c.PREFIX}kind_{name}"
