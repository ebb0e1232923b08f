"""Nodes of k-means and naive Bayes, which compare a row with one row of numbers for each cluster or class."""

from __future__ import annotations

import numpy as np

from streaming.export.class_nodes import ClassTensors, by_thresholds, put_classes, softmax
from streaming.export.context import StageContext
from streaming.export.linear_nodes import features, products
from streaming.scoring.compiled.classes import named
from streaming.scoring.compiled.fitted import matrix, scalar, vector
from streaming.scoring.compiled.values import Floats, row_sums


def k_means(context: StageContext) -> None:
    """``KMeansModel``: the nearest centre, the first of equally near ones."""
    stage, graph, rows = context.stage, context.graph, features(context)
    clusters = sorted(stage.rows(), key=lambda row: scalar(stage, row, "clusterIdx"))
    centres = np.stack([vector(stage, row, "clusterCenter") for row in clusters])
    if stage.text("distanceMeasure") == "cosine":
        context.reject(graph.add("Not", graph.any_of(graph.add("Not", graph.add("Equal", rows, 0.0)))))
        distances = _cosine_distances(context, rows, centres)
    else:
        apart = graph.add("Sub", graph.add("Unsqueeze", rows, np.array([1])), centres)
        distances = graph.total(graph.add("Mul", apart, apart), axis=2)
    # numpy takes the first NaN for the least.
    ordered = graph.add("Where", graph.add("IsNaN", distances), -np.inf, distances)
    context.put_choice(named(context.scope, "predictionCol"), graph.add("ArgMin", ordered, axis=1, keepdims=0))


def _cosine_distances(context: StageContext, rows: str, centres: Floats) -> str:
    graph = context.graph
    norms = graph.to_column(graph.add("Sqrt", graph.total(graph.add("Mul", rows, rows))))
    dots = graph.total(graph.add("Mul", graph.add("Unsqueeze", rows, np.array([1])), centres), axis=2)
    angles = graph.add("Div", graph.add("Div", dots, norms), np.sqrt(row_sums(centres * centres)))
    return graph.add("Sub", 1.0, angles)


def naive_bayes(context: StageContext) -> None:
    """``NaiveBayesModel`` of all four types."""
    stage, row, kind = context.stage, context.stage.row(), context.stage.text("modelType")
    prior, theta = vector(stage, row, "pi"), matrix(stage, row, "theta")
    if kind == "gaussian":
        raw = _gaussian(context, prior, theta, matrix(stage, row, "sigma"))
    elif kind == "bernoulli":
        raw = _bernoulli(context, prior, theta)
    else:
        raw = _of_counts(context, prior, theta, kind)
    choose = by_thresholds(context)
    put_classes(context, ClassTensors(raw, softmax(context.graph, raw, len(prior)), choose, choose))


def _of_counts(context: StageContext, prior: Floats, theta: Floats, kind: str) -> str:
    graph, rows = context.graph, features(context)
    context.reject(graph.any_of(graph.add("Not", graph.add("GreaterOrEqual", rows, 0.0))))
    sums = products(graph, rows, theta)
    if kind == "multinomial":
        return graph.add("Add", sums, prior)
    most = graph.add("ReduceMax", sums, np.array([1]))
    powers = graph.add("Exp", graph.add("Sub", sums, most))
    return graph.add("Sub", sums, graph.add("Add", graph.add("Log", graph.to_column(graph.total(powers))), most))


def _bernoulli(context: StageContext, prior: Floats, theta: Floats) -> str:
    graph, rows = context.graph, features(context)
    is_either = graph.add("Or", graph.add("Equal", rows, 0.0), graph.add("Equal", rows, 1.0))
    context.reject(graph.any_of(graph.add("Not", is_either)))
    absent = np.log1p(-np.exp(theta))
    return graph.add("Add", products(graph, rows, theta - absent), prior + row_sums(absent))


def _gaussian(context: StageContext, prior: Floats, mean: Floats, variance: Floats) -> str:
    graph = context.graph
    apart = graph.add("Sub", graph.add("Unsqueeze", features(context), np.array([1])), mean)
    sums = graph.total(graph.add("Div", graph.add("Mul", apart, apart), variance), axis=2)
    halves = graph.add("Div", graph.add("Add", sums, row_sums(np.log(variance))), 2.0)
    return graph.add("Sub", prior, halves)
