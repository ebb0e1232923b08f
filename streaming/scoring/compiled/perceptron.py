"""The multilayer perceptron: layers of weighted sums with a sigmoid between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streaming.scoring.compiled.classes import Classifier, by_thresholds, classifier
from streaming.scoring.compiled.fitted import vector
from streaming.scoring.compiled.scope import Apply, Scope
from streaming.scoring.compiled.values import Floats, products, row_sums


@dataclass(frozen=True)
class Layer:
    """From k numbers of a row to m."""

    weights: Floats
    """(m, k)."""
    bias: Floats
    """(m,)."""

    def sums(self, rows: Floats) -> Floats:
        """Return (n, m) for rows (n, k)."""
        return products(rows, self.weights) + self.bias


def multilayer_perceptron(scope: Scope) -> Apply:
    """``MultilayerPerceptronClassificationModel``: its raw numbers are the last layer's sums."""
    layers = read_layers(scope)
    classes = len(layers[-1].bias)

    def raw(rows: Floats) -> Floats:
        for layer in layers[:-1]:
            rows = 1.0 / (1.0 + np.exp(-layer.sums(rows)))
        return layers[-1].sums(rows)

    choose = by_thresholds(scope, classes)
    return classifier(scope, layers[0].weights.shape[1], classes, Classifier(raw, _softmax, choose, choose))


def _softmax(raw: Floats) -> Floats:
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(powers / row_sums(powers)[:, None])


def read_layers(scope: Scope) -> list[Layer]:
    """Take the one list of all weights apart: a layer's matrix by column, and then its biases."""
    stage, sizes = scope.stage, scope.stage.numbers("layers")
    if len(sizes) < 2 or any(size < 1 or size != int(size) for size in sizes):
        raise stage.unreadable(f"its layers are {sizes}")
    widths = [int(size) for size in sizes]
    pairs = list(pairwise(widths))
    weights = vector(stage, stage.row(), "weights", sum(inputs * outputs + outputs for inputs, outputs in pairs))
    layers, start = [], 0
    for inputs, outputs in pairs:
        middle, end = start + inputs * outputs, start + inputs * outputs + outputs
        layers.append(Layer(weights[start:middle].reshape(inputs, outputs).T, weights[middle:end]))
        start = end
    return layers
