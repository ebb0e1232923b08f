"""A record's bytes to typed columns and a verdict, in the JVM, for every engine.

Spark's ``from_json`` alone is no judge: it takes trailing garbage, duplicate keys, an object for a string and 1e400.
Three looks at the same text make it strict, if it is not too deep to be looked at:

1. ``from_json`` of ``{"r": <text>}`` gives the typed columns, and strings as VARIANT so that their JSON type is known.
2. ``try_parse_json`` of ``[<text>]`` refuses duplicate keys. What follows a complete value must now be legal both
   inside an object and inside an array; nothing is, so trailing garbage fails one of the two.
3. Numbers must be finite.

docs/events.md states the rules; docs/decisions/0005-strict-json.md says why these looks suffice.

A rejected row stays in the frame (a second, filtered branch would read Kafka twice) with the features of a row known to
be good, so that the pipeline runs over it without harm; its output is never used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from pyspark.sql import Column as Expr
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.nesting import is_shallow
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
    time_of_millis,
    time_of_text,
    time_rule,
    value_rules,
    verdict_of,
)
from streaming.models.seams import Features, Guard, Poison
from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings

_JSON, _STRICT, _PARSABLE, _TEXT = (c.PREFIX + n for n in ("json", "strict", "parsable", "text"))
_CORRUPT = c.PREFIX + "corrupt"
_FIELDS = c.PREFIX + "fields"
_ID_TYPES = ("STRING", "BIGINT")
"""Many producers number their events; the id travels on as text."""


@dataclass(frozen=True)
class JsonDecoder:
    """A :class:`streaming.models.seams.Decoder`. ``safe_row`` has a value for every column of the signature."""

    signature: Signature
    envelope: EventSettings
    max_value_bytes: int
    safe_row: Features
    guards: tuple[Guard, ...] = ()
    poison: Poison = ()

    def __post_init__(self) -> None:
        """Refuse names that clash; see :func:`streaming.events.rules.check_names`."""
        check_names(self.signature, self.envelope)

    def __call__(self, records: DataFrame) -> DataFrame:
        """Turn Kafka's columns into the decoder's; see :meth:`streaming.models.seams.Decoder.__call__`."""
        frame = records
        for selection in self._selections:
            frame = frame.select(*selection)
        return frame

    def masking_with(self, safe_row: Features) -> JsonDecoder:
        """Return the decoder with another safe row."""
        return replace(self, safe_row=safe_row)

    def rejecting(self, poison: Poison) -> JsonDecoder:
        """Return the decoder with these rows as its poison."""
        return replace(self, poison=poison)

    @cached_property
    def _selections(self) -> tuple[list[Expr], ...]:
        """Made once: building an expression from Python is a call into the JVM each, hundreds for one batch."""
        everything, source = F.col("*"), [F.col(name) for name in c.SOURCE]
        return (
            [*(F.col(name.removeprefix(c.PREFIX)).alias(name) for name in c.SOURCE)],
            [everything, self._parsable().alias(_PARSABLE)],
            [everything, F.when(F.col(_PARSABLE) & is_shallow(_text()), _text()).alias(_TEXT)],
            [everything, *self._parsed()],
            [*source, *(F.col(name) for name in (_PARSABLE, _STRICT, _JSON)), _fields(), *self._extracted()],
            # Columns by themselves, because they are used several times and would be computed as often.
            [everything, self._event_time().alias(c.EVENT_TIME)],
            [everything, self._verdict().alias(c.VERDICT)],
            [*source, *self._envelope_columns(), F.col(c.VERDICT), *masked_features(self.signature, self.safe_row)],
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
        # With as little as possible beside it: what stands with ``from_json``, Spark does not compile either.
        return [F.from_json(wrapped, self._schema(), options).alias(_JSON), strict.alias(_STRICT)]

    def _schema(self) -> str:
        fields = {name: "VARIANT" for name in (self.envelope.id, self.envelope.key) if name}
        if self.envelope.time:
            fields[self.envelope.time] = "VARIANT" if self.envelope.time_format == "iso8601" else "BIGINT"
        for column in self.signature.columns:
            fields[column.name] = "VARIANT" if column.type == "string" else sql_type(column)
        inner = ", ".join(f"{quoted(name)}: {kind}" for name, kind in fields.items())
        return f"r STRUCT<{inner}>, {_CORRUPT} STRING"

    def _extracted(self) -> list[Expr]:
        """Every field under a name of its own, and for a variant its JSON type."""
        out = []
        for name in self._variants():
            leaf = F.col(f"{_JSON}.r.{quoted(name)}")
            out += [
                F.schema_of_variant(leaf).alias(_kind_name(name)),
                F.try_variant_get(leaf, "$", "string").alias(raw_name(name)),
            ]
        for name in self._typed():
            out.append(F.col(f"{_JSON}.r.{quoted(name)}").alias(raw_name(name)))
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
        value, absent = F.col(c.VALUE), F.col(f"{_JSON}.r").isNull()
        rules = [
            *poison_rules(self.poison),
            (value.isNull(), Rejection(Reason.TOMBSTONE.value)),
            (F.octet_length(value) > self.max_value_bytes, Rejection(Reason.OVERSIZE.value)),
            (~F.col(_PARSABLE), Rejection(Reason.INVALID_UTF8.value)),
            (~F.col(_STRICT), Rejection(Reason.MALFORMED_JSON.value)),
            # Blank, or several values: only the list takes these.
            (absent & F.try_parse_json(_wrapped(_text())).isNull(), Rejection(Reason.MALFORMED_JSON.value)),
            (absent, Rejection(Reason.NOT_AN_OBJECT.value)),
            *self._envelope_rules(),
            *(rule for column in self.signature.columns for rule in _feature_rules(column)),
        ]
        # A typed column of the wrong type is null in the result and marks the record as corrupt.
        verdict = first_of(rules).when(_is_corrupt(), self._mistyped())
        for fails, rejection in guard_rules(self.guards):
            verdict = verdict.when(fails, verdict_of(rejection))
        return verdict

    def _envelope_rules(self) -> list[Rule]:
        rules: list[Rule] = []
        for name in (self.envelope.id, self.envelope.key):
            if name:
                rules.append((_is_absent(name), Rejection(Reason.MISSING_FIELD.value, name)))
                rules.append((~_kind(name).isin(*_ID_TYPES), Rejection(Reason.WRONG_TYPE.value, name)))
        time = self.envelope.time
        if time and self.envelope.time_format == "iso8601":
            rules.append((_is_absent(time), Rejection(Reason.MISSING_FIELD.value, time)))
            rules.append((_kind(time) != "STRING", Rejection(Reason.WRONG_TYPE.value, time)))
        elif time:
            rules.append((raw(time).isNull() & ~_is_corrupt(), Rejection(Reason.MISSING_FIELD.value, time)))
        if time:
            rules.append(time_rule(time, _is_corrupt()))
        return rules

    def _mistyped(self) -> Expr:
        mistyped = []
        for name in self._typed():
            value = F.try_element_at(F.col(_FIELDS), F.lit(name))
            wrong = raw(name).isNull() & value.isNotNull() & ~F.is_variant_null(value)
            mistyped.append(F.when(wrong, verdict_of(Rejection(Reason.WRONG_TYPE.value, name))))
        return F.coalesce(*mistyped, verdict_of(Rejection(Reason.WRONG_TYPE.value)))

    def _event_time(self) -> Expr:
        time = self.envelope.time
        if time is None:
            return F.col(c.TIMESTAMP)
        moment = time_of_millis(raw(time)) if self.envelope.time_format == "epoch_ms" else time_of_text(raw(time))
        # Two times in one object, or text behind the time, leave open which was meant.
        return F.when(F.col(_STRICT), moment)

    def _event_id(self, name: str) -> Expr:
        # A rejected event without a key is of the arm that its id names, so an id is what every decoder takes for one.
        return F.when(F.col(_STRICT) & _kind(name).isin(*_ID_TYPES), raw(name))

    def _envelope_columns(self) -> list[Expr]:
        position = F.concat_ws("-", F.col(c.PARTITION), F.col(c.OFFSET))
        event_id = self._event_id(self.envelope.id) if self.envelope.id else position
        subject = raw(self.envelope.key) if self.envelope.key else F.try_validate_utf8(F.col(c.KEY).cast("string"))
        return [event_id.alias(c.EVENT_ID), F.col(c.EVENT_TIME), subject.alias(c.SUBJECT)]


def _text() -> Expr:
    return F.col(c.VALUE).cast("string")


def _fields() -> Expr:
    """All fields of a corrupt record, to find the column that is of the wrong type, which is slow.

    A map, because a variant's path has no way to write a name with quotes.
    """
    fields = F.try_variant_get(F.try_parse_json(F.col(_TEXT)), "$", "map<string,variant>")
    return F.when(_is_corrupt(), fields).alias(_FIELDS)


def _wrapped(text: Expr) -> Expr:
    return F.concat(F.lit('{"r":'), text, F.lit("}"))


def _feature_rules(column: Column) -> list[Rule]:
    rules: list[Rule] = []
    if column.type == "string":
        rules.append((~_kind(column.name).isin("STRING", "VOID"), Rejection(Reason.WRONG_TYPE.value, column.name)))
    return [*rules, *value_rules(column, _is_corrupt())]


def _is_corrupt() -> Expr:
    return F.col(f"{_JSON}.{_CORRUPT}").isNotNull()


def _is_absent(name: str) -> Expr:
    return _kind(name).isNull() | (_kind(name) == "VOID")


def _kind(name: str) -> Expr:
    """A variant field's JSON type: ``STRING``, ``BIGINT``, ``VOID`` for null; SQL null where the field is absent."""
    return F.col(quoted(_kind_name(name)))


def _kind_name(name: str) -> str:
    return f"{c.PREFIX}kind_{name}"
