"""Nodes of decision trees, forests and gradient-boosted trees: one ``TreeEnsemble`` that finds each tree's leaf.

The leaves are looked up and added outside of the ensemble, in Spark's order of trees, so that a vote of equal halves
goes to the same class as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streaming.export.class_nodes import (
    ClassTensors,
    both_ways,
    by_thresholds,
    largest,
    logistic,
    put_classes,
    second_above,
    shares,
)
from streaming.export.context import StageContext
from streaming.export.graph import ML
from streaming.export.linear_nodes import features, put_prediction
from streaming.scoring.compiled.classes import shares as shares_of
from streaming.scoring.compiled.trees import Tree, read_trees, read_weights
from streaming.scoring.compiled.values import Floats

_LESS_OR_EQUAL, _MEMBER = 0, 6
_SUM, _NO_TRANSFORM = 1, 0


@dataclass
class _Ensemble:
    """The attributes of ``TreeEnsemble`` while trees are added; a leaf's weight is its number among all nodes."""

    roots: list[int] = field(default_factory=list)
    elements: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    children: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    """Where the condition is true, and where it is false."""
    child_is_leaf: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    members: list[float] = field(default_factory=list)
    leaf_trees: list[int] = field(default_factory=list)
    leaf_numbers: list[float] = field(default_factory=list)

    def add(self, tree: Tree, first: int) -> None:
        """Add a tree whose node 0 has the number ``first``."""
        number = len(self.roots)
        inner = np.flatnonzero(tree.children[:, 0] != np.arange(len(tree.element)))
        self.roots.append(len(self.elements))
        if not len(inner):
            self._add_node(0, _LESS_OR_EQUAL, 0.0)
            for side in (0, 1):
                self._add_leaf(side, number, first)
            return
        position = {int(node): len(self.elements) + at for at, node in enumerate(inner)}
        for node in inner:
            for side, child in enumerate(self._add_split(tree, int(node))):
                if child in position:
                    self.children[side].append(position[child])
                    self.child_is_leaf[side].append(0)
                else:
                    self._add_leaf(side, number, first + child)

    def _add_split(self, tree: Tree, node: int) -> list[int]:
        """Add a node's condition, and return its children where that is true and where it is false."""
        element, categories = int(tree.element[node]), tree.categories.get(node)
        right_first: list[int] = tree.children[node].tolist()
        if categories is None:
            self._add_node(element, _LESS_OR_EQUAL, float(tree.threshold[node]))
            return right_first[::-1]
        # What is no category goes where the others of the larger set go, so the smaller set is listed.
        listed = np.flatnonzero(categories[:-1] != categories[-1])
        self._add_node(element, _MEMBER, 0.0)
        self.members += [*listed.astype(float), np.nan]
        return right_first if categories[-1] else right_first[::-1]

    def _add_node(self, element: int, mode: int, split: float) -> None:
        self.elements.append(element)
        self.modes.append(mode)
        self.splits.append(split)

    def _add_leaf(self, side: int, tree: int, number: int) -> None:
        self.children[side].append(len(self.leaf_trees))
        self.child_is_leaf[side].append(1)
        self.leaf_trees.append(tree)
        self.leaf_numbers.append(float(number))

    def attributes(self, context: StageContext) -> dict[str, Any]:
        """Return the attributes of the operator."""
        graph = context.graph
        members = {"membership_values": graph.attribute(self.members)} if self.members else {}
        return {
            "n_targets": len(self.roots),
            "aggregate_function": _SUM,
            "post_transform": _NO_TRANSFORM,
            "tree_roots": self.roots,
            "nodes_featureids": self.elements,
            "nodes_modes": graph.attribute(np.array(self.modes, np.uint8)),
            "nodes_splits": graph.attribute(self.splits),
            "nodes_truenodeids": self.children[0],
            "nodes_trueleafs": self.child_is_leaf[0],
            "nodes_falsenodeids": self.children[1],
            "nodes_falseleafs": self.child_is_leaf[1],
            "leaf_targetids": self.leaf_trees,
            "leaf_weights": graph.attribute(self.leaf_numbers),
            **members,
        }


def _leaf_values(context: StageContext, trees: Sequence[Tree], values: Sequence[Floats]) -> str:
    """Return (n, trees) or (n, trees, classes): what ``values`` have for the leaf of each tree that a row ends in."""
    graph, ensemble = context.graph, _Ensemble()
    starts = np.cumsum([0, *(len(tree.element) for tree in trees)])
    for tree, first in zip(trees, starts, strict=False):
        ensemble.add(tree, int(first))
    numbers = graph.add("TreeEnsemble", features(context), domain=ML, **ensemble.attributes(context))
    return graph.add("Gather", np.concatenate(values), graph.to_whole(numbers))


def tree_classifier(context: StageContext) -> None:
    """``DecisionTreeClassificationModel`` and ``RandomForestClassificationModel``: the leaves' counts of classes."""
    graph, trees = context.graph, read_trees(context.scope)
    alone = context.stage.kind.rsplit(".", 1)[-1].startswith("DecisionTree")
    votes = [tree.counts if alone else shares_of(tree.counts) for tree in trees]
    raw = graph.total(_leaf_values(context, trees, votes))
    rule = ClassTensors(raw, shares(graph, raw), largest, by_thresholds(context))
    put_classes(context, rule)


def tree_regression(context: StageContext) -> None:
    """``DecisionTreeRegressionModel`` and ``RandomForestRegressionModel``: the mean of the leaves."""
    graph, trees = context.graph, read_trees(context.scope)
    total = graph.total(_leaf_values(context, trees, [tree.prediction for tree in trees]))
    put_prediction(context, graph.add("Div", total, float(len(trees))))


def _boosted(context: StageContext) -> str:
    trees = read_trees(context.scope)
    weights = read_weights(context.stage, len(trees))
    values = [tree.prediction * weight for tree, weight in zip(trees, weights, strict=True)]
    return context.graph.total(_leaf_values(context, trees, values))


def boosted_classifier(context: StageContext) -> None:
    """``GBTClassificationModel``: the log-loss of Spark has twice the margin in its exponent."""
    raw = both_ways(context.graph, _boosted(context))
    probability = logistic(context.graph, raw, 2.0)
    put_classes(context, ClassTensors(raw, probability, second_above(0.0), by_thresholds(context)))


def boosted_regression(context: StageContext) -> None:
    """``GBTRegressionModel``: the leaves, each times its tree's weight."""
    put_prediction(context, _boosted(context))
