"""Decision trees, forests and gradient-boosted trees: numpy walks all rows of a batch down a tree at once.

Splits compare doubles or look into sets of categories, and leaves are added up in Spark's order of trees, so that
answers are Spark's to the bit.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.scoring.compiled.classes import (
    Classifier,
    both_ways,
    by_thresholds,
    classifier,
    largest,
    logistic,
    shares,
)
from streaming.scoring.compiled.fitted import entry, numbers, scalar
from streaming.scoring.compiled.linear import regression
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.scope import Apply, Scope
from streaming.scoring.compiled.values import Floats, row_sums

_PROBLEMS = (KeyError, TypeError, ValueError, IndexError, OverflowError)
_MAX_CATEGORIES = 1_000_000
_NO_CHILD = -1


@dataclass(frozen=True)
class Tree:
    """One tree of m nodes as arrays; node 0 is the root, and a leaf is its own child on both sides."""

    element: npt.NDArray[np.int64]
    threshold: Floats
    children: npt.NDArray[np.int64]
    """(m, 2): right, left."""
    categories: dict[int, npt.NDArray[np.bool_]]
    """For a node that looks at a category: whether each goes left, and in the last place whether all others do."""
    depth: int
    prediction: Floats
    counts: Floats
    """(m, classes): what training saw of each class at the node, weighted."""

    def leaves(self, rows: Floats) -> npt.NDArray[np.int64]:
        """Return the number of the leaf that each row ends in."""
        node = np.zeros(len(rows), np.int64)
        everyone = np.arange(len(rows))
        for _ in range(self.depth):
            value = rows[everyone, self.element[node]]
            goes_left = value <= self.threshold[node]
            for number in self.categories.keys() & set(node.tolist()):
                here = node == number
                goes_left[here] = _looked_up(self.categories[number], value[here])
            node = self.children[node, goes_left.astype(np.int64)]
        return node


def _looked_up(table: npt.NDArray[np.bool_], value: Floats) -> npt.NDArray[np.bool_]:
    inside = (value >= 0) & (value < len(table) - 1) & (value == np.floor(value))
    return table[np.where(inside, value, len(table) - 1).astype(np.int64)]


def _tree(stage: SavedStage, nodes: list[dict[str, Any]], size: int) -> Tree:
    """Return one tree of Spark's rows of ``NodeData``.

    Raises:
        StageUnreadableError: the rows are not one tree over ``size`` elements.
    """
    nodes = sorted(nodes, key=lambda node: scalar(stage, node, "id"))
    try:
        return _arrays(nodes, size)
    except _PROBLEMS as problem:
        raise stage.unreadable(f"its nodes are not a tree: {problem!r}") from problem


def _arrays(nodes: list[dict[str, Any]], size: int) -> Tree:
    count = len(nodes)
    element, threshold = np.zeros(count, np.int64), np.zeros(count)
    children, categories = np.repeat(np.arange(count)[:, None], 2, axis=1), {}
    depths = np.zeros(count, np.int64)
    for number, node in enumerate(nodes):
        if node["id"] != number or (number and not depths[number]):
            raise ValueError(f"node {node['id']} is not the next of the tree")
        if node["leftChild"] == node["rightChild"] == _NO_CHILD:
            continue
        children[number] = node["rightChild"], node["leftChild"]
        # A child comes after its parent and has no other, so a walk of ``depth`` steps ends in a leaf.
        if children[number].min() <= number or depths[children[number]].any():
            raise ValueError(f"node {number} has the children {children[number]}")
        depths[children[number]] = depths[number] + 1
        element[number] = node["split"]["featureIndex"]
        if node["split"]["numCategories"] == -1:
            (threshold[number],) = node["split"]["leftCategoriesOrThreshold"]
        else:
            categories[number] = _goes_left(node["split"])
    if not count or not ((element >= 0) & (element < size)).all():
        raise ValueError(f"a split is over no element of {size}")
    prediction = numbers([node["prediction"] for node in nodes])
    counts = np.array([numbers(node["impurityStats"]) for node in nodes])
    return Tree(element, threshold, children, categories, int(depths.max()), prediction, counts)


def _goes_left(split: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """``CategoricalSplit`` of Spark keeps the smaller of both sets, and a value beyond all categories is not in it."""
    count, chosen = int(split["numCategories"]), np.array(split["leftCategoriesOrThreshold"], np.float64)
    if not 0 < count <= _MAX_CATEGORIES or not np.isin(chosen, np.arange(count)).all():
        raise ValueError("categories")
    table = np.full(count + 1, len(chosen) > count // 2)
    table[:count] = np.isin(np.arange(count), chosen)
    return table


def read_trees(scope: Scope) -> list[Tree]:
    """Return the trees in order: a model of one tree has rows of nodes, an ensemble says which tree they are of."""
    stage, size = scope.stage, scope.vector(scope.stage.text("featuresCol")).size
    if stage.kind.rsplit(".", 1)[-1].startswith("DecisionTree"):
        return [_tree(stage, stage.rows(), size)]
    nodes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in stage.rows():
        nodes[int(scalar(stage, row, "treeID"))].append(entry(stage, row, "nodeData"))
    if sorted(nodes) != list(range(len(nodes))) or not nodes:
        raise stage.unreadable("its trees are not numbered from 0")
    return [_tree(stage, nodes[number], size) for number in range(len(nodes))]


def read_weights(stage: SavedStage, trees: int) -> list[float]:
    """Return each tree's weight; Spark 4 saves it under the names of a tuple's members, and others by its own name."""
    rows = stage.rows("treesMetadata")
    number, weight = ("_1", "_3") if all("_3" in row for row in rows) else ("treeID", "weights")
    weights = {scalar(stage, row, number): scalar(stage, row, weight) for row in rows}
    if sorted(weights) != list(range(trees)) or len(rows) != trees:
        raise stage.unreadable(f"it does not have a weight for each of {trees} trees")
    return [weights[tree] for tree in range(trees)]


def _elements(scope: Scope) -> int:
    return scope.vector(scope.stage.text("featuresCol")).size


def tree_classifier(scope: Scope) -> Apply:
    """``DecisionTreeClassificationModel`` and ``RandomForestClassificationModel``: the leaves' counts of classes."""
    trees = read_trees(scope)
    classes = trees[0].counts.shape[-1]
    if any(tree.counts.shape[1:] != (classes,) for tree in trees):
        raise scope.stage.unreadable("its trees are not of the same classes")
    # A single tree's raw numbers are the counts themselves, a forest's are the sum of the trees' shares.
    alone = scope.stage.kind.rsplit(".", 1)[-1].startswith("DecisionTree")
    votes = [tree.counts if alone else shares(tree.counts) for tree in trees]

    def raw(rows: Floats) -> Floats:
        total = np.zeros((len(rows), classes))
        for tree, vote in zip(trees, votes, strict=True):
            total += vote[tree.leaves(rows)]
        return total

    rule = Classifier(raw, shares, largest, by_thresholds(scope, classes))
    return classifier(scope, _elements(scope), classes, rule)


def tree_regression(scope: Scope) -> Apply:
    """``DecisionTreeRegressionModel`` and ``RandomForestRegressionModel``: the mean of the leaves."""
    trees = read_trees(scope)
    return regression(
        scope,
        _elements(scope),
        lambda rows: row_sums(np.stack([tree.prediction[tree.leaves(rows)] for tree in trees], axis=1)) / len(trees),
    )


def _boosted(trees: list[Tree], weights: list[float], rows: Floats) -> Floats:
    total = np.zeros(len(rows))
    for tree, weight in zip(trees, weights, strict=True):
        total += tree.prediction[tree.leaves(rows)] * weight
    return total


def boosted_classifier(scope: Scope) -> Apply:
    """``GBTClassificationModel``: the log-loss of Spark has twice the margin in its exponent."""
    trees = read_trees(scope)
    weights = read_weights(scope.stage, len(trees))
    rule = Classifier(
        lambda rows: both_ways(_boosted(trees, weights, rows)),
        lambda raw: logistic(raw, 2.0),
        lambda raw: (raw[:, 1] > 0.0).astype(np.float64),
        by_thresholds(scope, 2),
    )
    return classifier(scope, _elements(scope), 2, rule)


def boosted_regression(scope: Scope) -> Apply:
    """``GBTRegressionModel``: the leaves, each times its tree's weight."""
    trees = read_trees(scope)
    weights = read_weights(scope.stage, len(trees))
    return regression(scope, _elements(scope), lambda rows: _boosted(trees, weights, rows))
