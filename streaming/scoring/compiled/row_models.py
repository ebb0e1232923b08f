"""Forms for a single row of linear models and of trees; their answers are the batch's to the bit.

Sums run from the first element to the last, as :func:`streaming.scoring.compiled.values.dot` has it; ``sum`` of Python
may round otherwise. Exponentials are numpy's, whose last bit the C library's need not have. A builder returns ``None``
where the stage has no such form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from streaming.scoring.compiled.classes import features, named, shares, thresholds_of
from streaming.scoring.compiled.fitted import entry, matrix, scalar, vector
from streaming.scoring.compiled.linear import binary_threshold, log_odds
from streaming.scoring.compiled.row_values import Row, RowStep
from streaming.scoring.compiled.scope import Scope
from streaming.scoring.compiled.trees import Tree, read_trees, read_weights

Elements = list[float]
Margin = Callable[[Elements], float]


def logistic_regression(scope: Scope) -> RowStep | None:
    """``LogisticRegressionModel``, binary."""
    stage, row = scope.stage, scope.stage.row()
    if entry(stage, row, "isMultinomial") or _is_sparse(scope):
        return None
    weights, intercepts = matrix(stage, row, "coefficientMatrix"), vector(stage, row, "interceptVector")
    margin = _linear(weights[0].tolist(), float(intercepts[0]))
    return _two_classes(scope, margin, log_odds(binary_threshold(scope)), factor=1.0)


def linear_svc(scope: Scope) -> RowStep | None:
    """``LinearSVCModel``."""
    return None if _is_sparse(scope) else _two_classes(scope, _fitted(scope), scope.stage.number("threshold"))


def linear_regression(scope: Scope) -> RowStep | None:
    """``LinearRegressionModel``."""
    return None if _is_sparse(scope) else _regression(scope, _fitted(scope))


def boosted_classifier(scope: Scope) -> RowStep | None:
    """``GBTClassificationModel``."""
    return _two_classes(scope, _boosted(scope), 0.0, factor=2.0)


def boosted_regression(scope: Scope) -> RowStep:
    """``GBTRegressionModel``."""
    return _regression(scope, _boosted(scope))


def tree_regression(scope: Scope) -> RowStep:
    """``DecisionTreeRegressionModel`` and ``RandomForestRegressionModel``."""
    walks = [(_walk(tree), tree.prediction.tolist()) for tree in read_trees(scope)]

    def predict(elements: Elements) -> float:
        total = 0.0
        for leaf, predictions in walks:
            total += predictions[leaf(elements)]
        return total / len(walks)

    return _regression(scope, predict)


def tree_classifier(scope: Scope) -> RowStep | None:
    """``DecisionTreeClassificationModel`` and ``RandomForestClassificationModel``."""
    if not _decides_by_raw(scope):
        return None
    alone = scope.stage.kind.rsplit(".", 1)[-1].startswith("DecisionTree")
    walks = [(_walk(tree), (tree.counts if alone else shares(tree.counts)).tolist()) for tree in read_trees(scope)]
    source = features(scope).lower()
    outputs = [named(scope, name).lower() for name in ("rawPredictionCol", "probabilityCol", "predictionCol")]

    def apply(row: Row) -> None:
        elements, raw = row[source], [0.0] * len(walks[0][1][0])
        for leaf, votes in walks:
            raw = [total + vote for total, vote in zip(raw, votes[leaf(elements)], strict=True)]
        total = 0.0
        for count in raw:
            total += count
        probability = [count / total for count in raw] if total else raw
        _put(row, outputs, (raw, probability, float(raw.index(max(raw)))))

    return apply


def _is_sparse(scope: Scope) -> bool:
    return scope.rows(features(scope, sparse=True)).sparse


def _decides_by_raw(scope: Scope) -> bool:
    return bool(named(scope, "rawPredictionCol")) and not thresholds_of(scope)


def _fitted(scope: Scope) -> Margin:
    stage, row = scope.stage, scope.stage.row()
    return _linear(vector(stage, row, "coefficients").tolist(), scalar(stage, row, "intercept"))


def _linear(weights: Sequence[float], intercept: float) -> Margin:
    def margin(elements: Elements) -> float:
        total = 0.0
        for element, weight in zip(elements, weights, strict=True):
            total += element * weight
        return total + intercept

    return margin


def _boosted(scope: Scope) -> Margin:
    trees = read_trees(scope)
    weights = read_weights(scope.stage, len(trees))
    walks = [(_walk(tree), (tree.prediction * weight).tolist()) for tree, weight in zip(trees, weights, strict=True)]

    def margin(elements: Elements) -> float:
        total = 0.0
        for leaf, predictions in walks:
            total += predictions[leaf(elements)]
        return total

    return margin


def _two_classes(scope: Scope, margin: Margin, limit: float, factor: float = 0.0) -> RowStep | None:
    """Return a classifier's step.

    Args:
        scope: the stage's.
        margin: of the second class.
        limit: the margin above which it is chosen.
        factor: of the margin in the exponent of the probability; 0 where the model gives none.
    """
    if not _decides_by_raw(scope):
        return None
    source = features(scope, sparse=True).lower()
    probability_name = named(scope, "probabilityCol") if factor else ""
    outputs = [named(scope, "rawPredictionCol"), probability_name, named(scope, "predictionCol")]
    outputs = [name.lower() for name in outputs]

    def apply(row: Row) -> None:
        second = margin(row[source])
        # Spark takes the exponential of the first class's negative margin, and rounding tells.
        raw, probability = [-second, second], None
        if factor:
            first = 1.0 / (1.0 + float(np.exp(-factor * -second)))
            probability = [first, 1.0 - first]
        _put(row, outputs, (raw, probability, 1.0 if second > limit else 0.0))

    return apply


def _put(row: Row, names: Sequence[str], values: tuple[Elements, Elements | None, float]) -> None:
    for name, value in zip(names, values, strict=True):
        if name:
            row[name] = value


def _regression(scope: Scope, predict: Margin) -> RowStep:
    source, target = features(scope, sparse=True).lower(), scope.stage.text("predictionCol").lower()

    def apply(row: Row) -> None:
        row[target] = predict(row[source])

    return apply


def _walk(tree: Tree) -> Callable[[Elements], int]:
    """Return what finds an event's leaf, as :meth:`streaming.scoring.compiled.trees.Tree.leaves` does."""
    elements, limits = tree.element.tolist(), tree.threshold.tolist()
    children = cast("list[list[int]]", tree.children.tolist())
    tables = {node: table.tolist() for node, table in tree.categories.items()}

    def leaf(values: Elements) -> int:
        node = 0
        for _ in range(tree.depth):
            value, table = values[elements[node]], tables.get(node)
            goes_left = value <= limits[node] if table is None else _looked_up(table, value)
            node = children[node][goes_left]
        return node

    return leaf


def _looked_up(table: Sequence[bool], value: float) -> bool:
    inside = 0 <= value < len(table) - 1 and value == math.floor(value)
    return table[int(value)] if inside else table[-1]
