"""Nodes of the stages on single numbers: Imputer, Bucketizer, Binarizer; and of VectorAssembler."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from streaming.export.context import NumberTensor, StageContext
from streaming.scoring.compiled.fitted import scalar
from streaming.scoring.compiled.values import Floats


def imputer(context: StageContext) -> None:
    """``ImputerModel``: the surrogate for a null and for the missing value, cast to the column's type."""
    stage, graph = context.stage, context.graph
    missing, row = stage.number("missingValue"), stage.row()
    filled = {}
    # All columns are read before one is written, so a column may be filled in place.
    for source, target in context.scope.pairs():
        number = context.number(source)
        hole = graph.add("IsNaN", number.values) if np.isnan(missing) else graph.add("Equal", number.values, missing)
        hole = graph.add("Or", hole, number.nulls) if number.nulls else hole
        surrogate = _cast(scalar(stage, row, source), context.scope.number(source).arrow)
        filled[target] = graph.add("Where", hole, surrogate, number.values)
    for target, values in filled.items():
        context.put_numbers(target, values)


def _cast(surrogate: float, kind: pa.DataType) -> float:
    """The column's own values are of its type already."""
    if pa.types.is_float32(kind):
        return float(np.float32(surrogate))
    return float(math.trunc(surrogate)) if pa.types.is_integer(kind) else surrogate


def bucketizer(context: StageContext) -> None:
    """``Bucketizer``, which a QuantileDiscretizer becomes too: the bucket from one split to the next."""
    stage, graph, pairs = context.stage, context.graph, context.scope.pairs()
    keep = context.scope.handling("error", "keep") == "keep"
    splits = stage.lists("splitsArray") if stage.has("splitsArray") else [stage.numbers("splits")]
    for number, (_, target), row in zip([context.number(source) for source, _ in pairs], pairs, splits, strict=True):
        is_nan = graph.add("IsNaN", number.values)
        invalid = graph.add("Or", is_nan, number.nulls) if number.nulls else is_nan
        if not keep:
            context.reject(graph.add("And", is_nan, graph.add("Not", number.nulls)) if number.nulls else is_nan)
        bucket = _bucket(context, number.values, np.array(row))
        outside = graph.add("Or", graph.add("Less", bucket, 0.0), graph.add("Greater", bucket, len(row) - 2.0))
        context.reject(graph.add("And", outside, graph.add("Not", invalid)))
        context.put(target, NumberTensor(graph.add("Where", invalid, len(row) - 1.0, bucket), number.nulls))


def _bucket(context: StageContext, values: str, splits: Floats) -> str:
    """Return the number of splits up to each value, less one; the last bucket has both of its ends."""
    graph = context.graph
    reached = graph.to_real(graph.add("GreaterOrEqual", graph.to_column(values), splits))
    bucket = graph.add("Sub", graph.total(reached), 1.0)
    if np.any((splits == 0.0) & ~np.signbit(splits)):
        # In Java's order of doubles a negative zero is below zero. Only its inverse tells it.
        is_zero, inverse = graph.add("Equal", values, 0.0), graph.add("Div", 1.0, values)
        below = graph.add("And", is_zero, graph.add("Less", inverse, 0.0))
        bucket = graph.add("Sub", bucket, graph.to_real(below))
    return graph.add("Where", graph.add("Equal", values, float(splits[-1])), len(splits) - 2.0, bucket)


def binarizer(context: StageContext) -> None:
    """``Binarizer``: 1 above the threshold and 0 up to it, of numbers or of each element of a vector."""
    stage, graph, pairs = context.stage, context.graph, context.scope.pairs()
    limits = stage.numbers("thresholds") if stage.has("thresholds") else [stage.number("threshold")] * len(pairs)
    for (source, target), limit in zip(pairs, limits, strict=True):
        if context.scope.any(source).family == "vector":
            rows = context.tensor(source)
            # Below zero Spark looks for what is not above, so NaN is high there, and low otherwise.
            high = graph.add("Not", graph.add("LessOrEqual", rows, limit)) if limit < 0.0 else None
            context.put(target, graph.to_real(high or graph.add("Greater", rows, limit)))
        else:
            context.put_numbers(target, graph.to_real(graph.add("Greater", context.with_nan(source), limit)))


def vector_assembler(context: StageContext) -> None:
    """``VectorAssembler``: numbers and vectors, one behind the other; ``keep`` makes NaN of a null."""
    keep, graph = context.scope.handling("error", "keep") == "keep", context.graph
    parts = []
    for source in context.stage.texts("inputCols"):
        if context.scope.any(source).family == "vector":
            parts.append(context.tensor(source))
            continue
        values = context.with_nan(source)
        if not keep:
            context.reject(graph.add("IsNaN", values))
        parts.append(graph.to_column(values))
    context.put(context.stage.text("outputCol"), graph.add("Concat", *parts, axis=1))
