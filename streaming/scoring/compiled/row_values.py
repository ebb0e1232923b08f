"""A single event while it runs through a compiled pipeline: plain values of Python, by the names of the columns.

For one row, to call numpy costs more than the arithmetic. A stage with a form of its own for rows works on these
values; any other sees them as a batch of one row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.scope import Columns
from streaming.scoring.compiled.values import (
    Floats,
    Numbers,
    OneHot,
    Parts,
    Rows,
    SparseRows,
    Summands,
    Tokens,
    Value,
)

Row = dict[str, Any]
"""Columns by their names in lower case: a float, a text, ``None`` for null, or a list of an event's elements or words.
A vector of which most elements are zero stays :class:`streaming.scoring.compiled.values.SparseRows`."""
RowStep = Callable[[Row], None]
"""Adds what a stage writes. It raises :class:`RowUnfitError` on a row that the stage throws on."""


class RowUnfitError(Exception):
    """The event has no form for a single row; the pass over a batch decides what becomes of it."""


class RowColumns(Columns):
    """A row as the columns of a batch of one."""

    def __init__(self, row: Row) -> None:
        """Look at a row, and write into it."""
        super().__init__({}, 1)
        self._row = row

    def number(self, name: str) -> Numbers:
        """Return a number; see :class:`streaming.scoring.compiled.scope.Columns`."""
        value = self._row[name.lower()]
        return Numbers(np.array([0.0 if value is None else value]), np.array([value is None]))

    def text(self, name: str) -> pa.StringArray:
        """Return a text."""
        return pa.array([self._row[name.lower()]], pa.string())

    def vector(self, name: str) -> Floats:
        """Return a vector, dense."""
        rows = self.rows_of(name)
        return rows.dense() if isinstance(rows, SparseRows) else rows

    def rows_of(self, name: str) -> Rows:
        """Return a vector as it is."""
        value = self._row[name.lower()]
        return value if isinstance(value, SparseRows) else np.array([value], np.float64)

    def summands(self, name: str) -> Summands:
        """Return a vector for a sum."""
        return self.rows_of(name)

    def parts(self, name: str) -> tuple[OneHot | Floats, ...]:
        """Return a vector, which is in one piece."""
        return (self.vector(name),)

    def tokens(self, name: str) -> Tokens:
        """Return a list of words."""
        return [self._row[name.lower()]]

    def put(self, name: str, value: Value) -> None:
        """Set a column."""
        self._row[name.lower()] = _plain(value)


def _plain(value: Value) -> Any:
    if isinstance(value, SparseRows):
        return value
    if isinstance(value, Numbers):
        return None if value.nulls[0] else float(value.values[0])
    if isinstance(value, np.ndarray | OneHot | Parts):
        rows = value if isinstance(value, np.ndarray) else value.dense()
        return rows[0].tolist()
    return value[0].as_py() if isinstance(value, pa.Array) else value[0]
