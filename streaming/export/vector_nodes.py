"""Nodes of the stages from one vector to another: scalers, Normalizer, PCA, slices and products."""

from __future__ import annotations

import math

import numpy as np

from streaming.export.context import StageContext
from streaming.scoring.compiled.fitted import matrix, vector
from streaming.scoring.compiled.values import Floats
from streaming.scoring.compiled.vectors import inverse, sliced_elements


def _read(context: StageContext) -> str:
    return context.tensor(context.stage.text("inputCol"))


def _write(context: StageContext, rows: str) -> None:
    context.put(context.stage.text("outputCol"), rows)


def standard_scaler(context: StageContext) -> None:
    """``StandardScalerModel``: less the mean, by the deviation; a column without any becomes zero."""
    row = context.stage.row()
    mean, deviation = vector(context.stage, row, "mean"), vector(context.stage, row, "std")
    _shift_and_scale(context, mean, deviation, ("withMean", "withStd"))


def robust_scaler(context: StageContext) -> None:
    """``RobustScalerModel``: less the median, by the range between quantiles."""
    row = context.stage.row()
    median, spread = vector(context.stage, row, "median"), vector(context.stage, row, "range")
    _shift_and_scale(context, median, spread, ("withCentering", "withScaling"))


def _shift_and_scale(context: StageContext, shift: Floats, spread: Floats, flags: tuple[str, str]) -> None:
    rows = _read(context)
    shifts, scales = (context.stage.flag(flag) for flag in flags)
    if shifts:
        rows = context.graph.add("Sub", rows, shift)
    _write(context, context.graph.add("Mul", rows, inverse(spread, 0.0)) if scales else rows)


def max_abs_scaler(context: StageContext) -> None:
    """``MaxAbsScalerModel``: by the largest absolute value."""
    largest = vector(context.stage, context.stage.row(), "maxAbs")
    _write(context, context.graph.add("Mul", _read(context), inverse(largest, 1.0)))


def min_max_scaler(context: StageContext) -> None:
    """``MinMaxScalerModel``: to the range from ``min`` to ``max``; a column without variance to its middle."""
    graph, row, rows = context.graph, context.stage.row(), _read(context)
    low, high = vector(context.stage, row, "originalMin"), vector(context.stage, row, "originalMax")
    least, most = context.stage.number("min"), context.stage.number("max")
    scale = np.where(high != low, (most - least) / np.where(high != low, high - low, 1.0), 0.0)
    scaled = graph.add("Add", graph.add("Mul", graph.add("Sub", rows, low), scale), least)
    varied = graph.add("Where", scale != 0.0, scaled, (least + most) / 2)
    _write(context, graph.add("Where", graph.add("IsNaN", rows), rows, varied))


def normalizer(context: StageContext) -> None:
    """``Normalizer``: by the p-norm; a vector of zeros stays."""
    graph, rows = context.graph, _read(context)
    norms = graph.to_column(_norms(context, rows, context.stage.number("p")))
    is_zero = graph.add("Equal", norms, 0.0)
    _write(context, graph.add("Where", is_zero, rows, graph.add("Div", rows, graph.add("Where", is_zero, 1.0, norms))))


def _norms(context: StageContext, rows: str, power: float) -> str:
    graph = context.graph
    sizes = graph.add("Abs", rows)
    if power == 1.0:
        return graph.total(sizes)
    if power == 2.0:
        return graph.add("Sqrt", graph.total(graph.add("Mul", rows, rows)))
    if math.isinf(power):
        return graph.add("ReduceMax", sizes, np.array([1]), keepdims=0)
    return graph.add("Pow", graph.total(graph.add("Pow", sizes, power)), 1.0 / power)


def elementwise_product(context: StageContext) -> None:
    """``ElementwiseProduct``: by a weight for each element."""
    weights = vector(context.stage, context.stage.parameters, "scalingVec")
    _write(context, context.graph.add("Mul", _read(context), weights))


def vector_slicer(context: StageContext) -> None:
    """``VectorSlicer``: some of the elements."""
    elements = np.array(sliced_elements(context.scope), np.int64)
    _write(context, context.graph.add("Gather", _read(context), elements, axis=1))


def principal_components(context: StageContext) -> None:
    """``PCAModel``: the product with the principal components, which are the matrix's columns."""
    components = matrix(context.stage, context.stage.row(), "pc")
    _write(context, context.graph.add("MatMul", _read(context), components))
