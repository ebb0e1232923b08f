"""What a column holds while a pipeline runs, and the sums that its stages share.

Sums run over the columns of a matrix, one after the other. Spark adds up a sparse vector in this order, and a row's
answer does not depend on the batch that it is in, as it would with a BLAS that splits a matrix into blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streaming.errors import ScoringError
from streaming.models.arrow_types import list_rows

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """A numeric column of n rows: its values as doubles, and where it is null (the value there says nothing)."""

    values: Floats
    nulls: Mask


@dataclass(frozen=True)
class SparseRows:
    """n vectors of k elements of which most are zero, and where the others are: by row, and then by element."""

    shape: tuple[int, int]
    """(n, k)."""
    row: Positions
    """(m,)."""
    element: Positions
    """(m,)."""
    value: Floats
    """(m,)."""

    def dense(self) -> Floats:
        """Return the matrix (n, k)."""
        full = np.zeros(self.shape)
        full[self.row, self.element] = self.value
        return full

    def where(self, mask: Mask) -> SparseRows:
        """Return the same vectors with zeros where a mask (m,) is false."""
        return SparseRows(self.shape, self.row[mask], self.element[mask], self.value[mask])

    def with_values(self, values: Floats) -> SparseRows:
        """Return other values (m,) in the same positions."""
        return SparseRows(self.shape, self.row, self.element, values)


Rows: TypeAlias = Floats | SparseRows
"""A column of vectors."""


@dataclass(frozen=True)
class OneHot:
    """n vectors of ``size`` elements, of which the one at the row's category is 1, and all others are 0."""

    category: Positions
    """(n,); ``size`` where no element is 1."""
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's."""
        return len(self.category), self.size

    def dense(self) -> Floats:
        """Return the matrix (n, size)."""
        dense: Floats = (np.arange(self.size)[:, None] == self.category).astype(np.float64).T
        return dense


@dataclass(frozen=True)
class Parts:
    """n vectors that lie one behind the other. A sum over them need not look at each zero of a category."""

    rows: int
    parts: tuple[OneHot | Floats, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's."""
        return self.rows, sum(part.shape[1] for part in self.parts)

    def dense(self) -> Floats:
        """Return the matrix of all of them, which is made once."""
        return self._matrix

    @cached_property
    def _matrix(self) -> Floats:
        # Column by column in memory, as stages and models mostly go through it.
        full = np.empty(self.shape, order="F")
        start = 0
        for part in self.parts:
            end = start + part.shape[1]
            full[:, start:end] = part.dense() if isinstance(part, OneHot) else part
            start = end
        return full

    def dot(self, weights: Floats) -> Floats:
        """Return what :func:`dot` of the matrix does, to the bit: a zero times a finite weight adds nothing."""
        if not np.isfinite(weights).all():
            return dot(self.dense(), weights)
        total, start = np.zeros(self.rows), 0
        for part in self.parts:
            if isinstance(part, OneHot):
                total += np.append(weights[start : start + part.size], 0.0)[part.category]
                start += part.size
            else:
                for column in part.T:
                    total += column * weights[start]
                    start += 1
        return total


Summands: TypeAlias = Rows | Parts
"""A column of vectors for those who only add up products of its elements."""
Tokens: TypeAlias = list[list[str]]
"""A column of lists of words."""
Value: TypeAlias = Numbers | pa.StringArray | Summands | OneHot | Tokens
"""A numeric column, a text column, a column of vectors with a row for each event, or one of lists of words."""
_BLOCK = 16_384
"""Products that are added up at once; their sums are as many, and both fit into a processor's cache."""
MOST_DENSE = 1_024
"""Elements of a vector of words' counts. One of more is sparse."""


@dataclass(frozen=True)
class Kind:
    """What is known of a column before a row comes."""

    family: Literal["text", "number", "vector", "tokens", "array"]
    arrow: pa.DataType
    """The type of its numbers: an Imputer's result is cast to it."""
    size: int = 1
    nominal: bool = False
    """True where Spark's column metadata say that a number, or an element of the vector, is a category."""
    compressed: bool = False
    """True where Spark's vectors are sparse exactly if that is shorter (``Vector.compressed``)."""
    sparse: bool = False
    """True where the column is :class:`SparseRows`."""
    labels: tuple[str, ...] = ()
    """What Spark's column metadata call the categories of a number, in order; empty where they are not known."""
    names: tuple[str, ...] | None = ()
    """What Spark's column metadata call a vector's elements; empty where it has no names, ``None`` where they are not
    known."""

    @property
    def is_numeric(self) -> bool:
        """Return whether it holds numbers, or vectors of them."""
        return self.family in ("number", "vector")


def dot(rows: Summands, weights: Floats) -> Floats:
    """Return the dot product of each row (n, k) with ``weights`` (k), added up from the first column to the last."""
    if isinstance(rows, Parts):
        return rows.dot(weights)
    if isinstance(rows, SparseRows):
        # It adds up in the order of the values.
        return np.bincount(rows.row, rows.value * weights[rows.element], rows.shape[0]).astype(np.float64)
    if not len(weights):
        return np.zeros(len(rows))
    total = np.empty(len(rows))
    # A call for each block of rows, not for each column: one of many models has few rows, and as many columns as any.
    at_once = max(1, _BLOCK // len(weights))
    for start in range(0, len(rows), at_once):
        block = rows[start : start + at_once] * weights
        # Unlike a sum, which numpy adds up in halves, this goes from the first column to the last.
        total[start : start + at_once] = np.add.accumulate(block, axis=1)[:, -1]
    # As if it began at zero: negative zeros add up to zero.
    return total + 0.0


def products(rows: Summands, weights: Floats) -> Floats:
    """Return (n, m): the dot product of each of n rows (n, k) with each of m rows of ``weights`` (m, k)."""
    if not len(weights):
        return np.zeros((rows.shape[0], 0))
    return np.stack([dot(rows, line) for line in weights], axis=1)


def beside(parts: Sequence[Rows], shape: tuple[int, int]) -> SparseRows:
    """Return vectors one behind the other, (n, k) in all."""
    sparse = [part if isinstance(part, SparseRows) else _sparse(part) for part in parts]
    starts = np.cumsum([0, *(part.shape[1] for part in sparse)])
    row = np.concatenate([part.row for part in sparse])
    element = np.concatenate([part.element + start for part, start in zip(sparse, starts, strict=False)])
    value = np.concatenate([part.value for part in sparse])
    order = np.argsort(row, kind="stable")
    return SparseRows(shape, row[order], element[order], value[order])


def _sparse(rows: Floats) -> SparseRows:
    row, element = np.nonzero(rows)
    return SparseRows((rows.shape[0], rows.shape[1]), row, element, rows[row, element])


def mapped(change: Callable[[Floats], Floats], rows: Rows) -> Rows:
    """Return rows with each element changed; a zero stays zero."""
    return rows.with_values(change(rows.value)) if isinstance(rows, SparseRows) else change(rows)


def largest_sizes(rows: Rows) -> Floats:
    """Return the largest absolute value of each row; 0 where it has no elements."""
    if not isinstance(rows, SparseRows):
        return np.asarray(np.abs(rows).max(axis=1, initial=0.0))
    largest = np.zeros(rows.shape[0])
    np.maximum.at(largest, rows.row, np.abs(rows.value))
    return largest


def row_sums(values: Rows) -> Floats:
    """Return the sum of each row, added up from the first column to the last."""
    if isinstance(values, SparseRows):
        return np.bincount(values.row, values.value, values.shape[0]).astype(np.float64)
    total = np.zeros(len(values))
    for position in range(values.shape[1]):
        total += values[:, position]
    return total


def is_sparse(rows: Floats) -> Mask:
    """Return which rows ``Vector.compressed`` keeps as sparse vectors: it compares the bytes of both forms."""
    return np.asarray(1.5 * (np.count_nonzero(rows, axis=1) + 1.0) < rows.shape[1])


def sliced(value: Value, rows: slice) -> Value:
    """Return some rows of what :func:`read_column` has read."""
    if isinstance(value, Numbers):
        return Numbers(value.values[rows], value.nulls[rows])
    if isinstance(value, SparseRows | OneHot | Parts):
        raise TypeError("events have no sparse and no put together vectors; stages make them")
    return value[rows]


def read_column(array: pa.Array, size: int | None = None) -> Value:
    """Return a column of an Arrow batch: text as it is, numbers and booleans as doubles, vectors as a matrix.

    Args:
        array: the column.
        size: how many elements its vectors have; ``None`` where it holds no vectors.

    Raises:
        ScoringError: a vector is null or of another size.
    """
    if size is not None:
        return _read_vectors(array, size)
    if pa.types.is_list(array.type) or pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array
    # Most columns have no null, and to fill what is not there takes as long as to read it.
    if not array.null_count:
        return Numbers(array.to_numpy(zero_copy_only=False).astype(np.float64), np.zeros(len(array), np.bool_))
    nulls = np.asarray(array.is_null().to_numpy(zero_copy_only=False), np.bool_)
    numeric = array.cast(pa.int8()) if pa.types.is_boolean(array.type) else array
    numbers: Floats = numeric.to_numpy(zero_copy_only=False).astype(np.float64)
    numbers[nulls] = 0.0
    return Numbers(numbers, nulls)


def _read_vectors(array: pa.ListArray, size: int) -> Floats:
    try:
        rows: Floats = list_rows(array).astype(np.float64)
    except ValueError as problem:
        raise ScoringError(f"a column of vectors cannot be read: {problem}") from None
    if len(rows) and rows.shape[1] != size:
        raise ScoringError(f"vectors have {rows.shape[1]} elements, and the model reads {size}")
    return rows.reshape(len(rows), size)
