"""Nodes of the models of dot products: linear models, factorization machines and the multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streaming.export.class_nodes import (
    ClassTensors,
    both_ways,
    by_thresholds,
    logistic,
    plain_softmax,
    put_classes,
    second_above,
    sigmoid,
    softmax,
)
from streaming.export.context import StageContext
from streaming.export.graph import Graph
from streaming.scoring.compiled.classes import named
from streaming.scoring.compiled.factors import read_machine
from streaming.scoring.compiled.fitted import entry, matrix, scalar, vector
from streaming.scoring.compiled.linear import LARGEST, NEAREST, OWN_LINK, OWN_POWER, binary_threshold, log_odds
from streaming.scoring.compiled.perceptron import read_layers
from streaming.scoring.compiled.values import Floats


def features(context: StageContext) -> str:
    """Return the vectors (n, k) that a model reads."""
    return context.tensor(context.stage.text("featuresCol"))


def put_prediction(context: StageContext, values: str) -> None:
    """Set a model's predictions (n)."""
    context.put_numbers(named(context.scope, "predictionCol"), values)


def products(graph: Graph, rows: str, weights: Floats) -> str:
    """Return (n, m): the dot product of each of n rows (n, k) with each of m rows of weights (m, k)."""
    return graph.add("MatMul", rows, np.ascontiguousarray(weights.T))


def _margins(context: StageContext, weights: Floats, intercept: float) -> str:
    margins = context.graph.element(products(context.graph, features(context), weights[None, :]), 0)
    return context.graph.add("Add", margins, intercept)


def logistic_regression(context: StageContext) -> None:
    """``LogisticRegressionModel``, binary or multinomial."""
    stage, graph, row = context.stage, context.graph, context.stage.row()
    weights, intercepts = matrix(stage, row, "coefficientMatrix"), vector(stage, row, "interceptVector")
    if entry(stage, row, "isMultinomial"):
        raw = graph.add("Add", products(graph, features(context), weights), intercepts)
        choose = by_thresholds(context)
        put_classes(context, ClassTensors(raw, softmax(graph, raw, len(weights)), choose, choose))
        return
    limit = binary_threshold(context.scope)
    raw = both_ways(graph, _margins(context, weights[0], float(intercepts[0])))
    rule = ClassTensors(raw, logistic(graph, raw), second_above(log_odds(limit)), second_above(limit))
    put_classes(context, rule)


def linear_svc(context: StageContext) -> None:
    """``LinearSVCModel``: the margin's side of the threshold; it has no probability."""
    margins = _margins(context, *_line(context))
    choose = second_above(context.stage.number("threshold"))
    put_classes(context, ClassTensors(both_ways(context.graph, margins), "", choose, choose))


def _line(context: StageContext) -> tuple[Floats, float]:
    stage, row = context.stage, context.stage.row()
    return vector(stage, row, "coefficients"), scalar(stage, row, "intercept")


def linear_regression(context: StageContext) -> None:
    """``LinearRegressionModel``."""
    put_prediction(context, _margins(context, *_line(context)))


def generalized_linear_regression(context: StageContext) -> None:
    """``GeneralizedLinearRegressionModel``: the inverse of the link, kept within the family's bounds."""
    eta = _margins(context, *_line(context))
    put_prediction(context, _project(context, _unlink(context, eta)))
    context.put_numbers(named(context.scope, "linkPredictionCol"), eta)


_UNLINK: dict[str, Callable[[Graph, str], str]] = {
    "identity": lambda _, eta: eta,
    "log": lambda graph, eta: graph.add("Exp", eta),
    "inverse": lambda graph, eta: graph.add("Div", 1.0, eta),
    "logit": sigmoid,
    "cloglog": lambda graph, eta: graph.add("Sub", 1.0, graph.add("Exp", graph.add("Neg", graph.add("Exp", eta)))),
    "sqrt": lambda graph, eta: graph.add("Mul", eta, eta),
}


def _unlink(context: StageContext, eta: str) -> str:
    stage, family = context.stage, context.stage.text("family").lower()
    if family == "tweedie":
        raise context.refused("its family is tweedie")
    link = stage.text("link").lower() if stage.has("link") else OWN_LINK[family]
    return _UNLINK[link](context.graph, eta)


def _project(context: StageContext, mean: str) -> str:
    """``Family.project`` of Spark."""
    graph, family = context.graph, context.stage.text("family").lower()
    if family != "binomial" and OWN_POWER[family] == 0.0:
        bound = graph.add("Mul", graph.add("Sign", mean), LARGEST)
        return graph.add("Where", graph.add("IsInf", mean), bound, mean)
    above = graph.add("Where", graph.add("Less", mean, NEAREST), NEAREST, mean)
    if family == "binomial":
        most = 1.0 - NEAREST
        return graph.add("Where", graph.add("Greater", mean, most), most, above)
    return graph.add("Where", graph.add("IsInf", mean, detect_negative=0), LARGEST, above)


def multilayer_perceptron(context: StageContext) -> None:
    """``MultilayerPerceptronClassificationModel``: its raw numbers are the last layer's sums."""
    graph, layers = context.graph, read_layers(context.scope)
    rows = features(context)
    for position, layer in enumerate(layers):
        sums = graph.add("Add", products(graph, rows, layer.weights), layer.bias)
        rows = sums if position == len(layers) - 1 else sigmoid(graph, sums)
    choose = by_thresholds(context)
    put_classes(context, ClassTensors(rows, plain_softmax(graph, rows), choose, choose))


def _machine_sums(context: StageContext) -> str:
    """Return a number for each row (Rendle, Factorization Machines, ICDM 2010, lemma 3.1)."""
    graph, rows, machine = context.graph, features(context), read_machine(context.scope)
    total = _margins(context, machine.weights, machine.intercept)
    for factor in machine.factors.T:
        parts = graph.add("Mul", rows, factor)
        sums = graph.total(parts)
        pairs = graph.add("Sub", graph.add("Mul", sums, sums), graph.total(graph.add("Mul", parts, parts)))
        total = graph.add("Add", total, graph.add("Mul", pairs, 0.5))
    return total


def factorization_regression(context: StageContext) -> None:
    """``FMRegressionModel``."""
    put_prediction(context, _machine_sums(context))


def factorization_classifier(context: StageContext) -> None:
    """``FMClassificationModel``, of two classes."""
    graph, choose = context.graph, by_thresholds(context)
    raw = both_ways(graph, _machine_sums(context))
    second = graph.to_column(sigmoid(graph, graph.element(raw, 1)))
    probability = graph.add("Concat", graph.add("Sub", 1.0, second), second, axis=1)
    put_classes(context, ClassTensors(raw, probability, choose, choose))
