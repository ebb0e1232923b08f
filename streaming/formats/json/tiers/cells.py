"""Decoded values of one field to a column of Arrow, and the rows on which that would not be exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streaming.models.arrow_types import ARROW_TYPES

SMALLEST_NORMAL, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""The smallest normal and the largest finite float, of 32 bits."""
BELOW_FLOAT, HALF_STEP = 0x1FFFFFFF, 0x10000000
"""The bits that a double has beyond a float, and the pattern of them that is half a step of a float."""


@dataclass(frozen=True)
class Cells:
    """The values of one column of some rows."""

    array: pa.Array
    doubtful: NDArray[np.bool_] | None = None
    """The rows whose value may not be what the reference reads; ``None``: there are none."""


Reader = Callable[[Sequence[Any]], Cells]
"""Decoded values, one for each row, ``None`` for null, to a column.

Raises:
    pyarrow.ArrowException: a value is not of the column's type.
"""


def texts(values: Sequence[str | None]) -> Cells:
    """Take text as it is."""
    return Cells(pa.array(values, pa.string()))


def identities(values: Sequence[str | int]) -> Cells:
    """Take text as it is, and whole numbers as text."""
    try:
        return Cells(pa.array(values, pa.string()))
    except pa.ArrowException:
        return Cells(pa.array([str(value) for value in values], pa.string()))


def doubles(values: Sequence[float | None]) -> Cells:
    """Take finite doubles as they are; infinity is doubtful."""
    array = _array(values, pa.float64())
    infinite = np.isinf(array.to_numpy(zero_copy_only=False))
    return Cells(array, infinite if infinite.any() else None)


def floats(values: Sequence[float | None]) -> Cells:
    """Round doubles, which were rounded from the text, to floats, where rounding twice is rounding once.

    A double that does not lie half-way between two floats lies on the same side of every half-way point as the text's
    number, so both round to the same float. The doubtful rest is half-way, beyond the normal floats, or beside them.
    """
    array = _array(values, pa.float64())
    numbers = array.to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    doubtful = (numbers.view(np.int64) & BELOW_FLOAT) == HALF_STEP
    doubtful |= ((size < SMALLEST_NORMAL) & (size != 0)) | (size >= LARGEST)
    with np.errstate(over="ignore", under="ignore"):
        singles = numbers.astype(np.float32)
    mask = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    return Cells(pa.array(singles, pa.float32(), mask=mask), doubtful if doubtful.any() else None)


def lists(kind: str, length: int) -> Reader:
    """Return the reader of lists of so many numbers of a type; a list of another length is doubtful."""
    of_numbers = pa.list_(ARROW_TYPES[kind] if kind in ("integer", "long") else pa.float64())

    def read(values: Sequence[Sequence[Any] | None]) -> Cells:
        rows = pa.array(values, of_numbers)
        sizes = pc.fill_null(pc.list_value_length(rows), length).to_numpy(zero_copy_only=False)
        doubtful: NDArray[np.bool_] = sizes != length
        cells = FEATURES[kind](rows.flatten())
        if cells.doubtful is not None:
            doubtful[pc.list_parent_indices(rows).to_numpy()[cells.doubtful]] = True
        array = pa.ListArray.from_arrays(rows.offsets, cells.array, mask=rows.is_null() if rows.null_count else None)
        return Cells(array, doubtful if doubtful.any() else None)

    return read


def exactly(kind: str) -> Reader:
    """Return the reader of values that a column of this type takes as they are."""
    return lambda values: Cells(_array(values, ARROW_TYPES[kind]))


def _array(values: Sequence[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    # Arrow would take its own array for a sequence of objects, slowly.
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


FEATURES: dict[str, Reader] = {
    "string": texts,
    "double": doubles,
    "float": floats,
    "integer": exactly("integer"),
    "long": exactly("long"),
    "boolean": exactly("boolean"),
}
"""A signature's type to the reader of its values."""
