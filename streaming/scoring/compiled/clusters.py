"""Clusterings other than k-means: a tree of centres, and a mixture of normal distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.bayes import cosine_distances, squared_distances
from streaming.scoring.compiled.classes import features, largest, named
from streaming.scoring.compiled.fitted import entry, matrix, numbers, scalar, vector
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import Floats, Kind, products, row_sums

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Bisected:
    """A cluster, and those that it was divided into."""

    number: int
    centre: Floats
    children: tuple[Bisected, ...]


def bisecting_k_means(scope: Scope) -> Apply:
    """``BisectingKMeansModel``: from the root to the nearest child, until there is none."""
    stage = scope.stage
    root = _tree(stage)
    measure = {"euclidean": squared_distances, "cosine": cosine_distances}.get(stage.text("distanceMeasure"))
    if measure is None:
        raise scope.refused(f"its distance is {stage.text('distanceMeasure')}")
    source, target = features(scope, len(root.centre)), stage.text("predictionCol")
    scope.put_number(target)

    def descend(rows: Floats, node: Bisected) -> Floats:
        if not node.children:
            return np.full(len(rows), float(node.number))
        nearest = np.argmin(measure(rows, np.stack([child.centre for child in node.children])), axis=1)
        answers = np.zeros(len(rows))
        for position, child in enumerate(node.children):
            here = nearest == position
            answers[here] = descend(rows[here], child)
        return answers

    def apply(columns: Columns) -> None:
        rows = columns.vector(source)
        if measure is cosine_distances:
            reject(stage, source, np.all(rows == 0.0, axis=1), "has no length, and so no angle")
        columns.put_numbers(target, descend(rows, root))

    return apply


def _tree(stage: SavedStage) -> Bisected:
    """Return the root; a cluster that nobody was divided into is it."""
    nodes = {scalar(stage, row, "index"): row for row in stage.rows("data/data")}
    try:
        below = [number for row in nodes.values() for number in entry(stage, row, "children")]
        (root,) = set(nodes) - set(below)
    except (TypeError, ValueError) as problem:
        raise stage.unreadable("its clusters are not one tree") from problem
    if len(below) != len(set(below)) or not set(below) < set(nodes):
        raise stage.unreadable("its clusters are not one tree")
    return _node(stage, nodes, root, len(vector(stage, nodes[root], "center")))


def _node(stage: SavedStage, nodes: dict[float, dict[str, Any]], number: float, size: int) -> Bisected:
    row = nodes[number]
    children = tuple(_node(stage, nodes, child, size) for child in row["children"])
    return Bisected(int(number), vector(stage, row, "center", size), children)


@dataclass(frozen=True)
class Normal:
    """A normal distribution of several variables, as ``MultivariateGaussian`` of Spark keeps it."""

    mean: Floats
    root: Floats
    """(k, k): whitens a distance from the mean; zero where the distribution has no width."""
    constant: float
    """The logarithm of the density at the mean."""

    @classmethod
    def of(cls, mean: Floats, covariance: Floats) -> Normal:
        """Decompose a covariance; a width that is zero but for rounding is none.

        Raises:
            ValueError: it has no width at all, or is not a square of the mean's size.
        """
        widths, axes = np.linalg.eigh(covariance)
        wide = widths > _EPSILON * widths.max() * len(widths)
        if covariance.shape != (len(mean), len(mean)) or not wide.any():
            raise ValueError("covariance")
        scale = np.where(wide, np.sqrt(1.0 / np.where(wide, widths, 1.0)), 0.0)
        constant = -0.5 * (len(mean) * np.log(2.0 * np.pi) + np.log(widths[wide]).sum())
        return cls(mean, scale[:, None] * axes.T, float(constant))

    def density(self, rows: Floats) -> Floats:
        """Return the density at each row."""
        apart = products(rows - self.mean, self.root)
        return np.exp(self.constant - 0.5 * row_sums(apart * apart))


def gaussian_mixture(scope: Scope) -> Apply:
    """``GaussianMixtureModel``: each distribution's share of the density, and the largest one."""
    stage, row = scope.stage, scope.stage.row()
    try:
        weights = numbers(entry(stage, row, "weights"))
    except (TypeError, ValueError) as problem:
        raise stage.unreadable("its weights are not a list of numbers") from problem
    normals = _normals(stage, row)
    if len(weights) != len(normals) or not normals:
        raise stage.unreadable(f"it has {len(weights)} weights for {len(normals)} distributions")
    source = features(scope, len(normals[0].mean))
    prediction, probability = named(scope, "predictionCol"), named(scope, "probabilityCol")
    if probability:
        scope.put(probability, Kind("vector", pa.float64(), len(normals)))
    if prediction:
        scope.put_number(prediction)

    def apply(columns: Columns) -> None:
        rows = columns.vector(source)
        # Spark adds the epsilon so that a row far from all of them still has shares.
        parts = [_EPSILON + weight * normal.density(rows) for weight, normal in zip(weights, normals, strict=True)]
        shares = np.stack(parts, axis=1)
        shares = shares / row_sums(shares)[:, None]
        if probability:
            columns.put(probability, shares)
        if prediction:
            columns.put_numbers(prediction, largest(shares))

    return apply


def _normals(stage: SavedStage, row: dict[str, Any]) -> list[Normal]:
    means, covariances = entry(stage, row, "mus"), entry(stage, row, "sigmas")
    try:
        pairs = list(zip(means, covariances, strict=True))
        return [
            Normal.of(vector(stage, {"mus": mean}, "mus"), matrix(stage, {"sigmas": covariance}, "sigmas"))
            for mean, covariance in pairs
        ]
    except (TypeError, ValueError, np.linalg.LinAlgError) as problem:
        raise stage.unreadable("its distributions have no mean and covariance") from problem
