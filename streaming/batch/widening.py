"""Types of one column in several files to the one type that holds all their values."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql.types import (
    AtomicType,
    BinaryType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

_WHOLE = (ByteType, ShortType, IntegerType, LongType)
"""From the narrowest on."""
_DIGITS: dict[type[DataType], int] = {ByteType: 3, ShortType: 5, IntegerType: 10, LongType: 19}
_FRACTIONS = (FloatType, DoubleType)
_INSTANTS = (DateType, TimestampNTZType, TimestampType)
_MOST_DIGITS = 38


def common(types: Sequence[DataType]) -> DataType | None:
    """Return the type that holds every value of all types as it is; ``None`` if there is none.

    A date is the midnight that begins it, and a timestamp without a zone is one of UTC, as everywhere in a batch.

    >>> common([IntegerType(), LongType()]), common([IntegerType(), FloatType()])
    (LongType(), DoubleType())
    """
    distinct = list(dict.fromkeys(types))
    if len(distinct) == 1:
        return distinct[0]
    if _all(distinct, _INSTANTS):
        return TimestampType()
    if _all(distinct, (StringType, BinaryType)):
        return BinaryType()
    if _all(distinct, _WHOLE):
        return max(distinct, key=lambda kind: _WHOLE.index(type(kind)))
    if _all(distinct, (*_WHOLE[:-1], *_FRACTIONS)):
        return DoubleType()  # 53 bits hold every whole number of 32
    return _decimal(distinct) if _all(distinct, (*_WHOLE, DecimalType)) else None


def are_numbers(types: Sequence[DataType]) -> bool:
    """Return whether a number of 64 bits holds the values of all types, the last digits aside."""
    return _all(types, (*_WHOLE, *_FRACTIONS, DecimalType))


def are_whole_or_fractions(types: Sequence[DataType]) -> bool:
    """Return whether a number of 64 bits holds the values of all types if the whole ones are not too large."""
    return _all(types, (*_WHOLE, *_FRACTIONS))


def have_text(types: Sequence[DataType]) -> bool:
    """Return whether every value of the types can be written as text."""
    return _all(types, (AtomicType,)) and not any(isinstance(kind, BinaryType) for kind in types)


def _decimal(types: Sequence[DataType]) -> DataType | None:
    decimals = [kind if isinstance(kind, DecimalType) else DecimalType(_DIGITS[type(kind)], 0) for kind in types]
    scale = max(kind.scale for kind in decimals)
    digits = max(kind.precision - kind.scale for kind in decimals) + scale
    return DecimalType(digits, scale) if digits <= _MOST_DIGITS else None


def _all(types: Sequence[DataType], kinds: tuple[type[DataType], ...]) -> bool:
    return all(isinstance(kind, kinds) for kind in types)
