"""Fitted values as Spark's Parquet has them, to numpy: vectors and matrices, dense or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np

from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.values import Floats

_DENSE, _SPARSE = 1, 0
_PROBLEMS = (KeyError, TypeError, ValueError, IndexError, OverflowError)
"""What numpy and Python raise on values of another shape or type."""


def entry(stage: SavedStage, row: dict[str, Any], name: str) -> Any:
    """Return one of a stage's fitted values.

    Raises:
        StageUnreadableError: there is none of this name.
    """
    if row.get(name) is None:
        raise stage.unreadable(f"there is no fitted value {name}")
    return row[name]


def scalar(stage: SavedStage, row: dict[str, Any], name: str) -> float:
    """Return a fitted number."""
    value = entry(stage, row, name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise stage.unreadable(f"the fitted value {name} is {value!r} and not a number")
    return float(value)


def vector(stage: SavedStage, row: dict[str, Any], name: str, size: int | None = None) -> Floats:
    """Return a fitted vector (``VectorUDT``), dense; of ``size`` elements, if that is known."""
    saved = entry(stage, row, name)
    try:
        full = _dense(saved)
    except _PROBLEMS as problem:
        raise stage.unreadable(f"the fitted value {name} is not a vector") from problem
    if size is not None and len(full) != size:
        raise stage.unreadable(f"the fitted value {name} has {len(full)} elements and not {size}")
    return full


def matrix(stage: SavedStage, row: dict[str, Any], name: str) -> Floats:
    """Return a fitted matrix (``MatrixUDT``) as rows and columns."""
    saved = entry(stage, row, name)
    try:
        rows, columns = int(saved["numRows"]), int(saved["numCols"])
        if saved["type"] == _DENSE:
            return _by_row(numbers(saved["values"]), rows, columns, saved["isTransposed"])
        full = _sparse_matrix(saved, rows, columns)
    except _PROBLEMS as problem:
        raise stage.unreadable(f"the fitted value {name} is not a matrix") from problem
    return full


def _by_row(values: Floats, rows: int, columns: int, transposed: bool) -> Floats:
    """Return the matrix by row. Spark keeps it by column, or by row if it says ``isTransposed``."""
    return values.reshape(rows, columns) if transposed else values.reshape(columns, rows).T


def _sparse_matrix(saved: dict[str, Any], rows: int, columns: int) -> Floats:
    if saved["type"] != _SPARSE:
        raise ValueError(f"type {saved['type']}")
    major = rows if saved["isTransposed"] else columns
    starts, minor = np.array(saved["colPtrs"], np.int64), np.array(saved["rowIndices"], np.int64)
    values, full = numbers(saved["values"]), np.zeros((rows, columns))
    # numpy would spread one value over many places, and count from the end where a position is negative.
    if len(starts) != major + 1 or len(values) != len(minor) or (minor < 0).any():
        raise ValueError("pointers")
    outer = np.repeat(np.arange(major), np.diff(starts))
    full[(outer, minor) if saved["isTransposed"] else (minor, outer)] = values
    return full


def _dense(saved: dict[str, Any]) -> Floats:
    if saved["type"] == _DENSE:
        return numbers(saved["values"])
    if saved["type"] != _SPARSE:
        raise ValueError(f"type {saved['type']}")
    positions = np.array(saved["indices"], np.int64)
    values = numbers(saved["values"])
    if len(positions) != len(values) or (positions < 0).any():
        raise ValueError("indices")
    full = np.zeros(int(saved["size"]))
    full[positions] = values
    return full


def numbers(values: list[Any]) -> Floats:
    """Return a list of numbers as an array; numpy alone would take text for a number and a null for NaN.

    Raises:
        ValueError: something in it is not a number.
    """
    if not all(isinstance(value, int | float) for value in values):
        raise ValueError("not a list of numbers")
    return np.array(values, np.float64)
