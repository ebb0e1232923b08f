"""A column's value as the bin of the reference profile that it falls into, in Spark's own expressions."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from streaming.events import columns as c
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, RARE_BIN, ColumnProfile, ReferenceProfile


def bin_of(value: Column, profile: ColumnProfile) -> Column:
    """Return the bin id (0 to 255) of ``value``, which is the column that ``profile`` describes."""
    position = _numeric(value, profile.edges) if profile.kind == "numeric" else _category(value, profile)
    return F.when(value.isNull(), F.lit(NULL_BIN)).otherwise(position)


def _numeric(value: Column, edges: tuple[float, ...]) -> Column:
    number = value.cast("double")
    # NaN is greater than every number in Spark, so one comparison finds it and infinity both.
    bin_number = F.when(F.abs(number) >= float("inf"), F.lit(NON_FINITE_BIN))
    for position, edge in enumerate(edges):
        bin_number = bin_number.when(number < edge, F.lit(position))
    return bin_number.otherwise(F.lit(len(edges)))


def _category(value: Column, profile: ColumnProfile) -> Column:
    categories = profile.categories
    listed = F.array(*(F.lit(category) for category in categories)) if categories else F.lit([]).cast("array<string>")
    # array_position counts from one and gives zero for a value that is not there.
    index = F.array_position(listed, value.cast("string")).cast("int")
    other = F.lit(OTHER_BIN)
    if profile.rare:
        # Spark makes a hash set of more than a few values. It is asked only for values that are not frequent.
        other = F.when(value.cast("string").isin(list(profile.rare)), F.lit(RARE_BIN)).otherwise(other)
    return F.when(index == 0, other).otherwise(index - 1)


def bins(profile: ReferenceProfile | None) -> Column:
    """Return the bin ids of a scored row's profiled columns, a byte each; null where the version has no profile."""
    if profile is None:
        return F.lit(None).cast("binary")
    # SQL has no bytes, but this character set has one for each of its characters.
    numbers = (F.char(bin_of(F.col(_scored(column.name)), column)) for column in profile.columns)
    return F.encode(F.concat(*numbers), "ISO-8859-1")


def _scored(name: str) -> str:
    """A profile speaks of ``prediction`` and ``confidence``; in a scored frame they have Penstock's own names."""
    return {"prediction": c.PREDICTION, "confidence": c.CONFIDENCE}.get(name, f"`{name}`")
