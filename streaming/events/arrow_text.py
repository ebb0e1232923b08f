"""Values by the text that Spark's cast to string gives them, without writing that text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PLAIN = re.compile(r"-?(0|[1-9]\d{0,6})\.(0|\d*[1-9])", re.ASCII)
_SCIENTIFIC = re.compile(r"-?[1-9]\.(0|\d*[1-9])E-?[1-9]\d*", re.ASCII)
_NOT_FINITE = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
_DIGITS = {pa.float64(): 19, pa.float32(): 10}
"""The most digits that Java writes: releases before 19 write some whole numbers as the long or the int that they are,
such as 2**60 as ``1.15292150460684698E18``."""
_BITS = {pa.float64(): pa.int64(), pa.float32(): pa.int32()}
_PLAIN_FROM, _PLAIN_BELOW = 1e-3, 1e7
"""Java writes numbers of this size without an exponent, and zero."""


def text_positions(values: pa.Array, texts: Sequence[str]) -> pa.Int64Array:
    """Return for each value the position in ``texts`` of its text, as Spark's ``CAST(value AS STRING)`` has it.

    A number is compared by its value with the texts that have the form of ``Double.toString``. So ``1.0`` and ``-0.0``
    are found, and ``1``, ``1.00`` and ``0`` are not. Its digits are not held against
    Java's, which differ between releases.

    Args:
        values: text, booleans or numbers.
        texts: what is looked for; of equal texts the first counts.

    Returns:
        As many positions; null where the value is null or its text is not among ``texts``.
    """
    return TextLookup.of(texts, values.type).positions(values)


@dataclass(frozen=True)
class TextLookup:
    """Texts made ready once for values of one type to be found among; see :func:`text_positions`."""

    keys: pa.Array
    """What the values are compared with, each once: texts, or the bits of real numbers."""
    numbers: pa.Int64Array
    """The position of each of them in the texts."""
    is_real: bool
    is_in_order: bool
    """True if every text is there once, and so has its own number."""

    @classmethod
    def of(cls, texts: Sequence[str], kind: pa.DataType) -> TextLookup:
        """Return the lookup of ``texts`` for values of type ``kind``."""
        is_real = pa.types.is_floating(kind)
        first: dict[str | int, int] = {}
        for number, text in enumerate(texts):
            spelled = _bits(text, kind) if is_real else text
            if spelled is not None:
                first.setdefault(spelled, number)
        keys = pa.array(list(first), _BITS[kind] if is_real else pa.string())
        numbers = list(first.values())
        return cls(keys, pa.array(numbers, pa.int64()), is_real, numbers == list(range(len(numbers))))

    def positions(self, values: pa.Array) -> pa.Int64Array:
        """Return the position of each value's text, null where it has none."""
        if not len(self.keys):
            return pa.nulls(len(values), pa.int64())
        looked_up = _bit_column(values) if self.is_real else _as_text(values)
        positions = pc.index_in(looked_up, value_set=self.keys)
        return positions if self.is_in_order else self.numbers.take(positions)


def _as_text(values: pa.Array) -> pa.StringArray:
    # A cast from text to text takes as long as to look some hundred values up.
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _bits(text: str, kind: pa.DataType) -> int | None:
    """Return the bits of the number that Java writes like this; ``None`` if it writes none so."""
    if text in _NOT_FINITE:
        return _bits_of(float(_NOT_FINITE[text]), kind)
    plain = _PLAIN.fullmatch(text)
    if not plain and not _SCIENTIFIC.fullmatch(text):
        return None
    number = float(text)
    is_plain = number == 0 or _PLAIN_FROM <= abs(number) < _PLAIN_BELOW
    digits = re.sub(r"E.*|\D", "", text).strip("0")
    return _bits_of(number, kind) if is_plain == bool(plain) and len(digits) <= _DIGITS[kind] else None


def _bits_of(number: float, kind: pa.DataType) -> int:
    return int(_bit_column(pa.array([number], pa.float64()).cast(kind, safe=False))[0].as_py())


def _bit_column(values: pa.Array) -> pa.Array:
    """Return the numbers' bits; every NaN has the same, as it has one text."""
    numbers = values.fill_null(0.0).to_numpy(zero_copy_only=False)
    numbers = np.where(np.isnan(numbers), np.array(np.nan, numbers.dtype), numbers)
    nulls = values.is_null().to_numpy(zero_copy_only=False)
    return pa.array(numbers.view(np.int32 if values.type == pa.float32() else np.int64), mask=nulls)
