"""What every decoder holds a row against, whatever it came from: names, times, finite numbers, guards; and masking.

A decoder leaves each field it has read in a column of its own, :func:`raw`, and the rules look at those.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from pyspark.sql import Column as Expr
from pyspark.sql import functions as F

from schemas.dead_letter import Reason, Rejection
from streaming.errors import CandidateRefusedError
from streaming.events import columns as c
from streaming.models.seams import Features, Guard, Poison
from streaming.models.signature import Column, Signature
from streaming.refusal_codes import RefusalCode
from streaming.settings import EventSettings

SQL_TYPES = {
    "double": "DOUBLE",
    "float": "FLOAT",
    "long": "BIGINT",
    "integer": "INT",
    "boolean": "BOOLEAN",
    "string": "STRING",
}
"""MLflow's names of types to Spark's."""


def sql_type(column: Column) -> str:
    """Return Spark's type of a column's values."""
    return f"ARRAY<{SQL_TYPES[column.type]}>" if column.is_list else SQL_TYPES[column.type]


_ISO_TIME = r"\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)?)?\z"
"""RFC 3339, where seconds and zone (UTC then) may be missing. Spark's cast alone also takes ``2013`` and ``EST``."""
_ISO_DAY = r"\A\d{4}-\d\d-\d\d\z"
_YEARS = (-62_135_596_800_000, 253_402_300_800_000)
"""The first millisecond of year 1 and of year 10000: four digits hold what lies between."""

Rule = tuple[Expr, Rejection]
"""A condition, and why a row that meets it is rejected."""


def check_names(signature: Signature, envelope: EventSettings) -> None:
    """Refuse a column that the envelope reads as text and the model as a number, and names that Spark confuses.

    Raises:
        CandidateRefusedError: ``ENVELOPE_CLASH`` or ``SIGNATURE_UNSUPPORTED``.
    """
    named = {name for name in (envelope.id, envelope.key, envelope.time) if name}
    for column in signature.columns:
        if column.name in named and column.type != "string":
            raise CandidateRefusedError(
                RefusalCode.ENVELOPE_CLASH,
                f"the model reads {column.name!r} as {column.type}, the event's envelope as text;"
                " name another field in event.id, event.time or event.key",
            )
    spellings: dict[str, str] = {}
    for name in sorted({*named, *signature.names}):
        if spellings.setdefault(name.lower(), name) != name:
            raise CandidateRefusedError(
                RefusalCode.SIGNATURE_UNSUPPORTED,
                f"the fields {spellings[name.lower()]!r} and {name!r} differ only in case, which Spark cannot tell"
                " apart; rename one",
            )


def first_of(rules: Iterable[Rule]) -> Expr:
    """Return the verdict of the first rule that a row meets; null if it meets none."""
    verdict = F.when(F.lit(False), F.lit(None).cast(c.VERDICT_TYPE))
    for fails, rejection in rules:
        verdict = verdict.when(fails, verdict_of(rejection))
    return verdict


def verdict_of(rejection: Rejection) -> Expr:
    """Return the verdict of rows that are rejected for this, a constant."""
    field = F.lit(rejection.field).cast("string")
    return F.struct(F.lit(rejection.reason).alias("reason"), field.alias("field"))


def poison_rules(poison: Poison) -> list[Rule]:
    """Return the rule that a row is at one of the poisoned offsets; none without any."""
    return [(is_at(poison), Rejection(Reason.SCORING_FAILED.value))] if poison else []


def is_at(positions: Iterable[tuple[int, int]], partition: str = c.PARTITION, offset: str = c.OFFSET) -> Expr:
    """Return whether a row is at one of these partitions and offsets, by the names of the columns that have them."""
    by_partition: dict[int, list[int]] = {}
    for number, position in positions:
        by_partition.setdefault(number, []).append(position)
    tests = ((F.col(partition) == number) & F.col(offset).isin(own) for number, own in by_partition.items())
    return reduce(or_, tests, F.lit(False))


def time_rule(name: str, unread: Expr) -> Rule:
    """Return the rule for the event time; ``unread`` rows have another fault, for which they have none."""
    moment, (first, after) = F.col(c.EVENT_TIME), (F.timestamp_millis(F.lit(edge)) for edge in _YEARS)
    bad = (moment.isNull() & ~unread) | (moment < first) | (moment >= after)
    return bad, Rejection(Reason.BAD_EVENT_TIME.value, name)


def value_rules(column: Column, unread: Expr) -> list[Rule]:
    """Return the rules for a value of a column; ``unread`` rows have another fault, for which it is null."""
    value = raw(column.name)
    rules: list[Rule] = list_rules(column, value) if column.is_list else []
    if column.is_floating:
        # NaN is greater than every number in Spark, so one comparison finds it and infinity both.
        rules.append((F.abs(value) >= float("inf"), Rejection(Reason.NON_FINITE.value, column.name)))
    if column.required:
        rules.append((value.isNull() & ~unread, Rejection(Reason.MISSING_FIELD.value, column.name)))
    return rules


def list_rules(column: Column, value: Expr) -> list[Rule]:
    """Return the rules for a list of numbers; of a null they say nothing."""
    has_null = F.exists(value, lambda number: number.isNull())
    rules: list[Rule] = [
        ((F.array_size(value) != column.length) | has_null, Rejection(Reason.WRONG_SHAPE.value, column.name))
    ]
    # The smallest whole number has no absolute value, and no whole number is infinite.
    if column.type in ("double", "float"):
        is_infinite = F.exists(value, lambda number: F.abs(number) >= float("inf"))
        rules.append((is_infinite, Rejection(Reason.NON_FINITE.value, column.name)))
    return rules


def guard_rules(guards: Iterable[Guard]) -> list[Rule]:
    """Return a rule for each value on which the pipeline would throw."""
    return [(guard.fails(raw(guard.column)), Rejection(guard.reason.value, guard.column)) for guard in guards]


def time_of_text(text: Expr) -> Expr:
    """Return the time in ISO 8601 text, null if the text is not a time."""
    return F.when(text.rlike(_ISO_TIME), text.try_cast("timestamp"))


def time_of_day(text: Expr) -> Expr:
    """Return the time that ISO 8601 text names, or the first moment of the day that it names; null if it is neither."""
    return F.when(text.rlike(_ISO_DAY), text.try_cast("timestamp")).otherwise(time_of_text(text))


def time_of_millis(number: Expr) -> Expr:
    """Return the time that a number of milliseconds since 1970 names, null if it is out of range."""
    # Beyond its range the function throws, which would fail every row of the batch.
    return F.when(number.between(_YEARS[0], _YEARS[1] - 1), F.timestamp_millis(number))


def masked_features(signature: Signature, safe_row: Features) -> list[Expr]:
    """Return the model's columns: a valid row's own, and a rejected row's from a row that is known to be good."""
    valid = F.col(c.VERDICT).isNull()
    out = []
    for column in signature.columns:
        safe = F.lit(safe_row[column.name]).cast(sql_type(column))
        out.append(F.when(valid, raw(column.name)).otherwise(safe).alias(column.name))
    return out


def quoted(name: str) -> str:
    """Return a column's name as Spark's SQL takes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def raw(name: str) -> Expr:
    """Return the field as it was read, before masking."""
    return F.col(quoted(raw_name(name)))


def raw_name(name: str) -> str:
    """Return the name of :func:`raw`'s column."""
    return f"{c.PREFIX}raw_{name}"
