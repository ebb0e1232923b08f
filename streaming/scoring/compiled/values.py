"""What a column holds while a pipeline runs, and the sums that its stages share.

Sums run over the columns of a matrix, one after the other. Spark adds up a sparse vector in this order, and a row's
answer does not depend on the batch that it is in, as it would with a BLAS that splits a matrix into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Numbers:
    """A numeric column of n rows: its values as doubles, and where it is null (the value there says nothing)."""

    values: Floats
    nulls: Mask


Value: TypeAlias = Numbers | pa.StringArray | Floats
"""A numeric column, a text column, or a column of vectors as a matrix of n rows."""


@dataclass(frozen=True)
class Kind:
    """What is known of a column before a row comes."""

    family: Literal["text", "number", "vector"]
    arrow: pa.DataType
    """The type of its numbers: an Imputer's result is cast to it."""
    size: int = 1
    nominal: bool = False
    """True where Spark's column metadata say that a number, or an element of the vector, is a category."""
    compressed: bool = False
    """True where Spark's vectors are sparse exactly if that is shorter (``Vector.compressed``)."""


def dot(rows: Floats, weights: Floats) -> Floats:
    """Return the dot product of each row (n, k) with ``weights`` (k), added up from the first column to the last."""
    total = np.zeros(len(rows))
    for position, weight in enumerate(weights):
        total += rows[:, position] * weight
    return total


def products(rows: Floats, weights: Floats) -> Floats:
    """Return (n, m): the dot product of each of n rows (n, k) with each of m rows of ``weights`` (m, k)."""
    return np.stack([dot(rows, line) for line in weights], axis=1) if len(weights) else np.zeros((len(rows), 0))


def row_sums(values: Floats) -> Floats:
    """Return the sum of each row, added up from the first column to the last."""
    total = np.zeros(len(values))
    for position in range(values.shape[1]):
        total += values[:, position]
    return total


def is_sparse(rows: Floats) -> Mask:
    """Return which rows ``Vector.compressed`` keeps as sparse vectors: it compares the bytes of both forms."""
    return np.asarray(1.5 * (np.count_nonzero(rows, axis=1) + 1.0) < rows.shape[1])


def read_column(array: pa.Array) -> Value:
    """Return a column of an Arrow batch: text as it is, numbers and booleans as doubles."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array
    nulls = np.asarray(array.is_null().to_numpy(zero_copy_only=False), np.bool_)
    filled = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    return Numbers(filled.to_numpy(zero_copy_only=False).astype(np.float64), nulls)
