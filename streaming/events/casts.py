"""A table's column as a column of the model's type: which types fit, and the values that do not.

A value fits if nothing of it is lost but a number's last digits, which are rounded once to the nearest. Text is taken
for a number or a boolean, as CSV has nothing else, and bytes that are UTF-8 for text, as some writers of Parquet do not
say of text that it is some.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column as Expr
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
)

from streaming.events.rules import SQL_TYPES
from streaming.models.signature import Column, ColumnType

WHOLE = (ByteType, ShortType, IntegerType, LongType)
_FRACTIONS = (FloatType, DoubleType)
_NUMBER = r"\A[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"
"""Spark's own cast would also take ``NaN``, ``1d`` and blanks around."""
_WHOLE_NUMBER = r"\A[+-]?\d+(\.0*)?\z"
_TWO_TO_63 = float(2**63)

Cast = Callable[[Expr], Expr]
"""Gives null where a value does not fit."""


def cast_to(target: ColumnType, source: DataType) -> Cast | None:
    """Return how a column of type ``source`` is read as ``target``; ``None`` if no value of it can be.

    >>> cast_to("string", LongType()) is None
    True
    """
    if isinstance(source, BinaryType):
        read = cast_to(target, StringType())
        return (lambda value: read(text_of(value))) if read else None
    if target == "string":
        return _unchanged if isinstance(source, StringType) else None
    if target == "boolean":
        return _unchanged if isinstance(source, BooleanType) else _truth if isinstance(source, StringType) else None
    return _fraction(target, source) if target in ("double", "float") else _whole(target, source)


def cast_for(column: Column, source: DataType) -> Cast | None:
    """Return how a table's column is read as the model's; see :func:`cast_to`.

    A list may come as an array, of whose numbers every value fits, or as a vector of Spark's.
    """
    if not column.is_list:
        return cast_to(column.type, source)
    element = _element(source)
    if element is None or not _always_fits(column.type, element):
        return None
    kind = f"array<{SQL_TYPES[column.type]}>"
    if isinstance(source, VectorUDT):
        return lambda value: F.when(value.isNotNull(), vector_to_array(value)).cast(kind)
    return lambda value: value.cast(kind)


def _element(source: DataType) -> DataType | None:
    if isinstance(source, VectorUDT):
        return DoubleType()
    return source.elementType if isinstance(source, ArrayType) else None


def _always_fits(target: ColumnType, element: DataType) -> bool:
    is_number = isinstance(element, (*WHOLE, *_FRACTIONS, DecimalType))
    return is_number and never_fails(target, element)


def whole_number(source: DataType) -> Cast | None:
    """Return how a column is read as a whole number of 64 bits; ``None`` as above."""
    return _whole("long", source)


def never_fails(target: ColumnType, source: DataType) -> bool:
    """Return whether every value of ``source`` fits, so that no value need be checked."""
    if isinstance(source, BinaryType):
        return False
    if target in ("double", "float"):
        return not isinstance(source, StringType)
    if target == "long":
        return isinstance(source, WHOLE)
    if target == "integer":
        return isinstance(source, WHOLE) and not isinstance(source, LongType)
    return target == "string" or isinstance(source, BooleanType)


def text_of(value: Expr) -> Expr:
    """Return the text that bytes are, null if they are not UTF-8."""
    return F.try_validate_utf8(value.cast("string"))


def _unchanged(value: Expr) -> Expr:
    return value


def _truth(text: Expr) -> Expr:
    word = F.lower(text)
    return F.when(word == "true", F.lit(True)).when(word == "false", F.lit(False))


def _fraction(target: ColumnType, source: DataType) -> Cast | None:
    kind = SQL_TYPES[target]
    if isinstance(source, StringType):
        return lambda text: F.when(text.rlike(_NUMBER), text.try_cast(kind))
    return (lambda number: number.cast(kind)) if isinstance(source, (*WHOLE, *_FRACTIONS, DecimalType)) else None


def _whole(target: ColumnType, source: DataType) -> Cast | None:
    kind = SQL_TYPES[target]
    if isinstance(source, StringType):
        return lambda text: F.when(text.rlike(_WHOLE_NUMBER), F.substring_index(text, ".", 1).try_cast(kind))
    if isinstance(source, _FRACTIONS):
        # Spark's cast cuts the fraction off, and takes 2^63 for the largest number of 64 bits.
        return lambda number: F.when((number == F.rint(number)) & (number < _TWO_TO_63), number.try_cast(kind))
    if isinstance(source, DecimalType):
        return lambda number: F.when(number == F.floor(number), number.try_cast(kind))
    return (lambda number: number.try_cast(kind)) if isinstance(source, WHOLE) else None
