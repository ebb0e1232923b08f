"""Nodes from a classifier's raw numbers to probability and prediction, as :mod:`streaming.scoring.compiled.classes`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streaming.export.context import StageContext
from streaming.export.graph import Graph
from streaming.scoring.compiled.classes import named, thresholds_of

Choose = Callable[[Graph, str], str]
"""From raw numbers or probabilities (n, classes) to the position of a class (n)."""


@dataclass(frozen=True)
class ClassTensors:
    """A classifier's raw numbers and probabilities (n, classes), and how either decides on a class."""

    raw: str
    probability: str
    """Empty where the model has none."""
    by_raw: Choose
    by_probability: Choose


def put_classes(context: StageContext, classes: ClassTensors) -> None:
    """Set a classifier's columns (``ProbabilisticClassificationModel.transform``)."""
    graph, scope = context.graph, context.scope
    raw_name = named(scope, "rawPredictionCol")
    probability_name = named(scope, "probabilityCol") if classes.probability else ""
    # Without a raw column Spark decides by the probability, where there is one.
    by_raw = not thresholds_of(scope) and (raw_name or not probability_name)
    probability = classes.probability or classes.raw
    chosen = classes.by_raw(graph, classes.raw) if by_raw else classes.by_probability(graph, probability)
    context.put(raw_name, classes.raw)
    context.put(probability_name, probability)
    if prediction := named(scope, "predictionCol"):
        context.put_choice(prediction, chosen)


def largest(graph: Graph, rows: str) -> str:
    """Return each row's position of the largest number, the first of equal ones (``DenseVector.argmax``)."""
    ordered = graph.add("Where", graph.add("IsNaN", rows), -np.inf, rows)
    best = graph.add("ArgMax", ordered, axis=1, keepdims=0)
    return graph.add("Where", graph.add("IsNaN", graph.element(rows, 0)), np.array(0), best)


def by_thresholds(context: StageContext) -> Choose:
    """Return how a class is chosen by probability: that of the largest quotient of it and its threshold."""
    limits = np.array(thresholds_of(context.scope))

    def choose(graph: Graph, probability: str) -> str:
        scaled = graph.add("Div", probability, limits)
        return largest(graph, graph.add("Where", graph.add("IsNaN", scaled), -np.inf, scaled))

    return choose if len(limits) else largest


def second_above(limit: float) -> Choose:
    """Return how one of two classes is chosen: the second where its number is above the limit."""
    return lambda graph, rows: graph.to_whole(graph.add("Greater", graph.element(rows, 1), limit))


def both_ways(graph: Graph, margin: str) -> str:
    """Return the raw numbers (n, 2) of two classes for a margin (n)."""
    column = graph.to_column(margin)
    return graph.add("Concat", graph.add("Neg", column), column, axis=1)


def sigmoid(graph: Graph, values: str, factor: float = 1.0) -> str:
    """Return 1 / (1 + exp(-factor * values))."""
    power = graph.add("Exp", graph.add("Mul", values, -factor))
    return graph.add("Div", 1.0, graph.add("Add", power, 1.0))


def logistic(graph: Graph, raw: str, factor: float = 1.0) -> str:
    """Return probabilities (n, 2) of two classes, the second as what is missing to 1, as Spark has it."""
    first = graph.to_column(sigmoid(graph, graph.element(raw, 0), factor))
    return graph.add("Concat", first, graph.add("Sub", 1.0, first), axis=1)


def softmax(graph: Graph, raw: str, classes: int) -> str:
    """``Utils.softmax`` of Spark: it multiplies by the inverse of the sum, and by zero beside an infinity."""
    powers = _powers(graph, raw)
    usual = graph.add("Mul", powers, graph.add("Div", 1.0, graph.to_column(graph.total(powers))))
    infinite = graph.add("IsInf", raw, detect_negative=0)
    first = graph.add("Equal", graph.add("ArgMax", graph.to_whole(infinite), axis=1), np.arange(classes))
    beside = graph.add("Where", first, 1.0, graph.add("Mul", raw, 0.0))
    return graph.add("Where", graph.to_column(graph.any_of(infinite)), beside, usual)


def _powers(graph: Graph, raw: str) -> str:
    most = graph.add("ReduceMax", raw, np.array([1]))
    return graph.add("Exp", graph.add("Sub", raw, most))


def plain_softmax(graph: Graph, raw: str) -> str:
    """Return the powers of e by their sum."""
    powers = _powers(graph, raw)
    return graph.add("Div", powers, graph.to_column(graph.total(powers)))


def shares(graph: Graph, counts: str) -> str:
    """Return each row by its sum (``normalizeToProbabilitiesInPlace``); zeros stay."""
    sums = graph.to_column(graph.total(counts))
    is_zero = graph.add("Equal", sums, 0.0)
    return graph.add("Where", is_zero, counts, graph.add("Div", counts, graph.add("Where", is_zero, 1.0, sums)))
