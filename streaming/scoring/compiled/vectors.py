"""Stages from one vector to another: scalers, Normalizer, PCA, slices, products and expansions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.fitted import matrix, vector
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import (
    Floats,
    Kind,
    Numbers,
    Rows,
    SparseRows,
    largest_sizes,
    mapped,
    products,
    row_sums,
)

_MAX_EXPANDED = 100_000
"""More elements than a vector of one event may have; a polynomial grows without bound."""


def _mapped(scope: Scope, size: int, change: Callable[[Floats], Floats], *, compressed: bool = False) -> Apply:
    """Return a stage of one input and one output column of vectors, of which the output has ``size`` elements."""
    scope.put(scope.stage.text("outputCol"), Kind("vector", pa.float64(), size, compressed=compressed))
    return _changed(scope, change)


def _changed(scope: Scope, change: Callable[[Floats], Floats]) -> Apply:
    source, target = scope.stage.text("inputCol"), scope.stage.text("outputCol")

    def apply(columns: Columns) -> None:
        columns.put(target, change(columns.vector(source)))

    return apply


def _input(scope: Scope, size: int | None = None) -> Kind:
    return scope.vector(scope.stage.text("inputCol"), size)


def inverse(values: Floats, instead: float) -> Floats:
    """Return 1 by each value; Spark multiplies by it, which is another last bit than dividing."""
    return np.where(values == 0.0, instead, 1.0 / np.where(values == 0.0, 1.0, values))


def standard_scaler(scope: Scope) -> Apply:
    """``StandardScalerModel``: less the mean, by the deviation; a column without any becomes zero."""
    row = scope.stage.row()
    mean, deviation = vector(scope.stage, row, "mean"), vector(scope.stage, row, "std")
    return _shift_and_scale(scope, mean, deviation, ("withMean", "withStd"))


def robust_scaler(scope: Scope) -> Apply:
    """``RobustScalerModel``: less the median, by the range between quantiles."""
    row = scope.stage.row()
    median, spread = vector(scope.stage, row, "median"), vector(scope.stage, row, "range")
    return _shift_and_scale(scope, median, spread, ("withCentering", "withScaling"))


def _shift_and_scale(scope: Scope, shift: Floats, spread: Floats, flags: tuple[str, str]) -> Apply:
    kind = _input(scope, len(shift))
    if len(spread) != len(shift):
        raise scope.stage.unreadable("its two fitted vectors are not of one size")
    shifts, scales = (scope.stage.flag(flag) for flag in flags)
    scale = inverse(spread, 0.0)

    def change(rows: Floats) -> Floats:
        moved = rows - shift if shifts else rows
        return moved * scale if scales else moved

    return _mapped(scope, kind.size, change)


def max_abs_scaler(scope: Scope) -> Apply:
    """``MaxAbsScalerModel``: by the largest absolute value."""
    largest = vector(scope.stage, scope.stage.row(), "maxAbs")
    _input(scope, len(largest))
    scale = inverse(largest, 1.0)
    return _mapped(scope, len(scale), lambda rows: rows * scale)


def min_max_scaler(scope: Scope) -> Apply:
    """``MinMaxScalerModel``: to the range from ``min`` to ``max``; a column without variance to its middle."""
    row = scope.stage.row()
    low, high = vector(scope.stage, row, "originalMin"), vector(scope.stage, row, "originalMax")
    _input(scope, len(low))
    if len(high) != len(low):
        raise scope.stage.unreadable("its two fitted vectors are not of one size")
    least, most = scope.stage.number("min"), scope.stage.number("max")
    spread = high - low
    scale = np.where(spread != 0.0, (most - least) / np.where(spread != 0.0, spread, 1.0), 0.0)

    def change(rows: Floats) -> Floats:
        scaled = np.where(scale != 0.0, (rows - low) * scale + least, (least + most) / 2)
        return np.where(np.isnan(rows), rows, scaled)

    return _mapped(scope, len(low), change, compressed=True)


def normalizer(scope: Scope) -> Apply:
    """``Normalizer``: by the p-norm; a vector of zeros stays."""
    source, target = scope.stage.text("inputCol"), scope.stage.text("outputCol")
    power, kind = scope.stage.number("p"), scope.rows(source)
    if not power >= 1.0:
        raise scope.stage.unreadable(f"the parameter p is {power}")
    scope.put(target, Kind("vector", pa.float64(), kind.size, sparse=kind.sparse))

    def apply(columns: Columns) -> None:
        rows = columns.rows_of(source)
        norms = _norms(rows, power)
        divisors = np.where(norms != 0.0, norms, 1.0)
        if isinstance(rows, SparseRows):
            columns.put(target, rows.with_values(rows.value / divisors[rows.row]))
        else:
            columns.put(target, rows / divisors[:, None])

    return apply


def _norms(rows: Rows, power: float) -> Floats:
    """``Vectors.norm`` of Spark, which adds up from the first element to the last."""
    if power == 1.0:
        return row_sums(mapped(np.abs, rows))
    if power == 2.0:
        return np.sqrt(row_sums(mapped(np.square, rows)))
    if math.isinf(power):
        return largest_sizes(rows)
    return np.asarray(row_sums(mapped(lambda values: np.abs(values) ** power, rows)) ** (1.0 / power))


def elementwise_product(scope: Scope) -> Apply:
    """``ElementwiseProduct``: by a weight for each element."""
    # The one parameter that is a vector; in JSON it looks as a fitted one does in Parquet.
    weights = vector(scope.stage, scope.stage.parameters, "scalingVec")
    _input(scope, len(weights))
    return _mapped(scope, len(weights), lambda rows: rows * weights)


def vector_slicer(scope: Scope) -> Apply:
    """``VectorSlicer``: some of the elements, those that it numbers before those that it names."""
    kind, chosen = _input(scope), sliced_elements(scope)
    names = tuple(kind.names[element] for element in chosen) if kind.names else kind.names
    scope.put(scope.stage.text("outputCol"), Kind("vector", pa.float64(), len(chosen), names=names))
    return _changed(scope, lambda rows: rows[:, chosen])


def sliced_elements(scope: Scope) -> list[int]:
    """Return the positions of the elements that a ``VectorSlicer`` takes.

    Raises:
        StageNotCompiledError: it names elements, and what Spark calls them is not known.
        StageUnreadableError: there is no element of a number.
    """
    stage, kind = scope.stage, _input(scope)
    elements = [int(value) for value in stage.numbers("indices")]
    names = stage.texts("names") if stage.has("names") else []
    if names and not kind.names:
        raise scope.refused("it names elements, and only those of VectorAssembler and OneHotEncoder have known names")
    # Spark takes the last of equal names.
    positions = {name: position for position, name in enumerate(kind.names or ())}
    if not all(0 <= element < kind.size for element in elements):
        raise stage.unreadable(f"an index is not among {kind.size} elements")
    if not {*names} <= positions.keys():
        raise scope.refused(f"no element is known by one of the names {', '.join(names)}")
    return elements + [positions[name] for name in names]


def principal_components(scope: Scope) -> Apply:
    """``PCAModel``: the product with the principal components, which are the matrix's columns."""
    components = matrix(scope.stage, scope.stage.row(), "pc").T
    _input(scope, components.shape[1])
    return _mapped(scope, len(components), lambda rows: products(rows, components))


def polynomial_expansion(scope: Scope) -> Apply:
    """``PolynomialExpansion``: all products of up to ``degree`` elements, in Spark's order."""
    kind, degree = _input(scope), scope.stage.whole("degree")
    if degree < 1:
        raise scope.stage.unreadable(f"the parameter degree is {degree}")
    size = math.comb(kind.size + degree, degree) - 1
    if size > _MAX_EXPANDED:
        raise scope.refused(f"it expands to {size} elements")

    def change(rows: Floats) -> Floats:
        monomials = _monomials(rows, kind.size - 1, degree, np.ones(len(rows)))
        next(monomials)  # the constant
        return np.stack(list(monomials), axis=1) if size else np.zeros((len(rows), 0))

    return _mapped(scope, size, change)


def _monomials(rows: Floats, last: int, degree: int, product: Floats) -> Iterator[Floats]:
    """Multiply from the last element to the first, as ``PolynomialExpansion.expandDense`` does."""
    if degree == 0 or last < 0:
        yield product
        return
    for power in range(degree + 1):
        yield from _monomials(rows, last - 1, degree - power, product)
        # A product that is zero stays zero, whatever comes: zero times infinity is not looked at.
        product = np.where(product == 0.0, 0.0, product * rows[:, last])


def interaction(scope: Scope) -> Apply:
    """``Interaction``: all products of one element of each column."""
    sources, target = scope.stage.texts("inputCols"), scope.stage.text("outputCol")
    kinds = [scope.any(source) for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        if not kind.is_numeric or kind.nominal:
            raise scope.refused(f"it would encode the categories of {source}, or finds text there")
    size = math.prod(kind.size for kind in kinds)
    if size > _MAX_EXPANDED:
        raise scope.refused(f"it expands to {size} elements")
    scope.put(target, Kind("vector", pa.float64(), size, compressed=True, names=None))

    def apply(columns: Columns) -> None:
        rows = np.ones((columns.rows, 1))
        # Spark multiplies from the last column to the first.
        for source, kind in zip(reversed(sources), reversed(kinds), strict=True):
            values = (
                columns.vector(source) if kind.family == "vector" else _not_null(scope, columns.number(source), source)
            )
            rows = (values[:, :, None] * rows[:, None, :]).reshape(columns.rows, -1)
        columns.put(target, rows + 0.0)

    return apply


def _not_null(scope: Scope, numbers: Numbers, source: str) -> Floats:
    reject(scope.stage, source, numbers.nulls, "is null")
    return numbers.values[:, None]
