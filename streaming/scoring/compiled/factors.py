"""Factorization machines: a linear model, and a weight for each pair of elements from the product of their factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streaming.scoring.compiled.classes import Classifier, both_ways, by_thresholds, classifier
from streaming.scoring.compiled.fitted import matrix, scalar, vector
from streaming.scoring.compiled.linear import regression
from streaming.scoring.compiled.scope import Apply, Scope
from streaming.scoring.compiled.values import Floats, dot, row_sums


@dataclass(frozen=True)
class Machine:
    """The weights of a machine over k elements."""

    intercept: float
    weights: Floats
    """(k,)."""
    factors: Floats
    """(k, f): f factors of each element."""

    def predict(self, rows: Floats) -> Floats:
        """Return a number for each row (Rendle, Factorization Machines, ICDM 2010, lemma 3.1)."""
        total = self.intercept + dot(rows, self.weights)
        for factor in self.factors.T:
            products = rows * factor
            total = total + 0.5 * (row_sums(products) ** 2 - row_sums(products * products))
        return total


def factorization_regression(scope: Scope) -> Apply:
    """``FMRegressionModel``."""
    machine = read_machine(scope)
    return regression(scope, len(machine.weights), machine.predict)


def factorization_classifier(scope: Scope) -> Apply:
    """``FMClassificationModel``, of two classes."""
    machine, choose = read_machine(scope), by_thresholds(scope, 2)
    rule = Classifier(lambda rows: both_ways(machine.predict(rows)), _probability, choose, choose)
    return classifier(scope, len(machine.weights), 2, rule)


def _probability(raw: Floats) -> Floats:
    second = 1.0 / (1.0 + np.exp(-raw[:, 1]))
    return np.stack([1.0 - second, second], axis=1)


def read_machine(scope: Scope) -> Machine:
    """Return a saved factorization machine."""
    stage, row = scope.stage, scope.stage.row()
    factors = matrix(stage, row, "factors")
    return Machine(scalar(stage, row, "intercept"), vector(stage, row, "linear", len(factors)), factors)
