"""Stages on single numbers: Imputer, Bucketizer, Binarizer; and VectorAssembler, which makes a vector of them."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streaming.scoring.compiled.fitted import scalar
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import Floats, Kind, Numbers, OneHot, Parts, beside


def imputer(scope: Scope) -> Apply:
    """``ImputerModel``: the surrogate for a null and for the missing value, cast to the column's type."""
    missing, row = scope.stage.number("missingValue"), scope.stage.row()
    pairs = scope.pairs()
    # All columns are read before one is written, so a column may be filled in place.
    work = [(source, target, scope.number(source), scalar(scope.stage, row, source)) for source, target in pairs]
    for _, target, kind, _ in work:
        scope.put(target, Kind("number", kind.arrow))

    def apply(columns: Columns) -> None:
        for source, target, kind, surrogate in work:
            numbers = columns.number(source)
            # NaN equals NaN in Spark's comparison.
            hole = np.isnan(numbers.values) if np.isnan(missing) else numbers.values == missing
            filled = np.where(numbers.nulls | hole, surrogate, numbers.values)
            columns.put_numbers(target, cast_numbers(filled, kind.arrow))

    return apply


def cast_numbers(values: Floats, kind: pa.DataType) -> Floats:
    """Return numbers as a column of ``kind`` holds them: floats rounded, whole numbers cut towards zero."""
    if pa.types.is_float32(kind):
        return values.astype(np.float32).astype(np.float64)
    return np.trunc(values) if pa.types.is_integer(kind) else values


def bucketizer(scope: Scope) -> Apply:
    """``Bucketizer``, which a QuantileDiscretizer becomes too: the bucket from one split to the next."""
    keep, stage, pairs = scope.handling("error", "keep") == "keep", scope.stage, scope.pairs()
    splits = [
        np.array(row) for row in (stage.lists("splitsArray") if stage.has("splitsArray") else [stage.numbers("splits")])
    ]
    if len(splits) != len(pairs) or not all(len(row) > 2 and (np.diff(row) > 0).all() for row in splits):
        raise stage.unreadable("its splits are not an increasing list for each column")
    for source, target in pairs:
        scope.number(source)
        scope.put_number(target, nominal=True)

    def apply(columns: Columns) -> None:
        for (source, target), row in zip(pairs, splits, strict=True):
            numbers = columns.number(source)
            # A null stays null under either rule.
            invalid = numbers.nulls | np.isnan(numbers.values)
            if not keep:
                reject(stage, source, invalid & ~numbers.nulls, "is NaN")
            bucket = np.searchsorted(in_order(row), in_order(numbers.values), side="right") - 1
            bucket[numbers.values == row[-1]] = len(row) - 2
            outside = ~invalid & ((bucket < 0) | (bucket > len(row) - 2))
            reject(stage, source, outside, f"is not from {row[0]} to {row[-1]}")
            columns.put(target, Numbers(np.where(invalid, len(row) - 1, bucket).astype(np.float64), numbers.nulls))

    return apply


def in_order(values: Floats) -> npt.NDArray[np.int64]:
    """Return integers in the order of Java's ``Double.compare``, in which -0.0 comes before 0.0."""
    bits = values.view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFF_FFFF_FFFF_FFFF), bits)


def binarizer(scope: Scope) -> Apply:
    """``Binarizer``: 1 above the threshold and 0 up to it, of numbers or of each element of a vector."""
    stage, pairs = scope.stage, scope.pairs()
    limits = stage.numbers("thresholds") if stage.has("thresholds") else [stage.number("threshold")] * len(pairs)
    if len(limits) != len(pairs):
        raise stage.unreadable("its thresholds are not one for each column")
    kinds = [scope.any(source) for source, _ in pairs]
    for (source, target), kind in zip(pairs, kinds, strict=True):
        if not kind.is_numeric:
            raise scope.refused(f"it reads a number from the column {source}, which holds text")
        scope.put(target, Kind(kind.family, pa.float64(), kind.size, compressed=False))

    def apply(columns: Columns) -> None:
        for (source, target), kind, limit in zip(pairs, kinds, limits, strict=True):
            if kind.family == "vector":
                rows = columns.vector(source)
                # Below zero Spark looks for what is not above, so NaN is high there, and low otherwise.
                columns.put(target, (~(rows <= limit) if limit < 0.0 else rows > limit).astype(np.float64))
            else:
                numbers = columns.number(source)
                # A null is not above anything.
                columns.put_numbers(target, ((numbers.values > limit) & ~numbers.nulls).astype(np.float64))

    return apply


def _assembled_names(sources: list[str], kinds: list[Kind]) -> tuple[str, ...] | None:
    """Return what Spark calls the elements: a number by its column, an element of a vector by both names."""
    names: list[str] = []
    for source, kind in zip(sources, kinds, strict=True):
        if kind.family == "number":
            names.append(source)
        elif kind.names is None:
            return None
        else:
            names += [f"{source}_{name}" for name in kind.names or range(kind.size)]
    return tuple(names)


def vector_assembler(scope: Scope) -> Apply:
    """``VectorAssembler``: numbers and vectors, one behind the other; ``keep`` makes NaN of a null."""
    keep, sources = scope.handling("error", "keep") == "keep", scope.stage.texts("inputCols")
    kinds = [scope.any(source) for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        if not kind.is_numeric:
            raise scope.refused(f"it assembles the column {source}, which holds text")
    target, size = scope.stage.text("outputCol"), sum(kind.size for kind in kinds)
    nominal, sparse = any(kind.nominal for kind in kinds), any(kind.sparse for kind in kinds)
    names = None if sparse else _assembled_names(sources, kinds)
    scope.put(target, Kind("vector", pa.float64(), size, nominal=nominal, compressed=True, sparse=sparse, names=names))

    def apply_sparse(columns: Columns) -> None:
        parts = [
            columns.rows_of(source) if kind.family == "vector" else _element(scope, columns, source, keep)
            for source, kind in zip(sources, kinds, strict=True)
        ]
        columns.put(target, beside(parts, (columns.rows, size)))

    return apply_sparse if sparse else _dense_assembler(scope, sources, kinds, keep)


def _dense_assembler(scope: Scope, sources: list[str], kinds: list[Kind], keep: bool) -> Apply:
    target = scope.stage.text("outputCol")
    pairs = zip([kind.family for kind in kinds], sources, strict=True)
    runs = [(family, [source for _, source in run]) for family, run in groupby(pairs, key=itemgetter(0))]

    def apply(columns: Columns) -> None:
        parts: list[OneHot | Floats] = []
        for family, beside_each_other in runs:
            if family == "number":
                parts.append(_elements(scope, columns, beside_each_other, keep) + 0.0)
            else:
                own = [part for source in beside_each_other for part in columns.parts(source)]
                # Spark leaves zeros out on the way, so a negative zero comes back as zero.
                parts += [part if isinstance(part, OneHot) else part + 0.0 for part in own]
        columns.put(target, Parts(columns.rows, tuple(parts)))

    return apply


def _elements(scope: Scope, columns: Columns, sources: list[str], keep: bool) -> Floats:
    rows = np.empty((columns.rows, len(sources)), order="F")
    for position, source in enumerate(sources):
        numbers = columns.number(source)
        rows[:, position] = numbers.values
        if numbers.nulls.any():
            rows[numbers.nulls, position] = np.nan
    # All are looked at together: mostly nothing is missing, and a batch of one of many models has few rows.
    if not keep and np.isnan(rows).any():
        for source in sources:
            _element(scope, columns, source, keep)
    return rows


def _element(scope: Scope, columns: Columns, source: str, keep: bool) -> Floats:
    numbers = columns.number(source)
    if not keep:
        reject(scope.stage, source, numbers.nulls | np.isnan(numbers.values), "is null or NaN")
    return np.where(numbers.nulls, np.nan, numbers.values)[:, None]
