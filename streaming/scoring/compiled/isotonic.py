"""Isotonic regression: a line of pieces through points, level beyond the first and the last."""

from __future__ import annotations

import numpy as np

from streaming.scoring.compiled.fitted import entry, numbers
from streaming.scoring.compiled.numbers import in_order
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import Floats


def isotonic_regression(scope: Scope) -> Apply:
    """``IsotonicRegressionModel``, over a number or over one element of a vector."""
    stage, row = scope.stage, scope.stage.row()
    try:
        bounds, levels = (numbers(entry(stage, row, name)) for name in ("boundaries", "predictions"))
    except (TypeError, ValueError) as problem:
        raise stage.unreadable("its boundaries and predictions are not lists of numbers") from problem
    if len(bounds) != len(levels) or not len(bounds) or not (np.diff(in_order(bounds)) > 0).all():
        raise stage.unreadable("its boundaries are not an increasing list with a prediction for each")
    source, target = stage.text("featuresCol"), stage.text("predictionCol")
    position = stage.whole("featureIndex")
    kind = scope.any(source)
    if not kind.is_numeric or (kind.family == "vector" and not 0 <= position < kind.size):
        raise scope.refused(f"it reads a number from the column {source}, which has none in element {position}")
    scope.put_number(target)

    def apply(columns: Columns) -> None:
        if kind.family == "vector":
            values = columns.vector(source)[:, position]
        else:
            values = columns.number(source).values
            reject(stage, source, columns.number(source).nulls, "is null")
        columns.put_numbers(target, _interpolated(values, bounds, levels))

    return apply


def _interpolated(values: Floats, bounds: Floats, levels: Floats) -> Floats:
    """Return the level at each value; NaN is beyond the last bound, as Java's order of doubles has it."""
    after = np.searchsorted(in_order(bounds), in_order(values), side="left")
    above = np.minimum(after, len(bounds) - 1)
    below = np.maximum(above - 1, 0)
    rise = (levels[above] - levels[below]) * (values - bounds[below]) / (bounds[above] - bounds[below])
    is_level = (after == 0) | (after == len(bounds)) | (in_order(bounds)[above] == in_order(values))
    return np.where(is_level, levels[above], levels[below] + rise)
