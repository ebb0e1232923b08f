"""Models of a dot product: logistic, linear and generalized linear regression, linear SVC."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from streaming.scoring.compiled.classes import (
    Classifier,
    both_ways,
    by_thresholds,
    classifier,
    features,
    logistic,
    named,
    softmax,
    thresholds_of,
)
from streaming.scoring.compiled.fitted import entry, matrix, scalar, vector
from streaming.scoring.compiled.scope import Apply, Columns, Scope
from streaming.scoring.compiled.values import Floats, Summands, dot, products

NEAREST = 1e-16
"""``GeneralizedLinearRegression.epsilon``: how near a mean may come to its bound."""
LARGEST = float(np.finfo(np.float64).max)


def logistic_regression(scope: Scope) -> Apply:
    """``LogisticRegressionModel``, binary or multinomial."""
    stage, row = scope.stage, scope.stage.row()
    weights = matrix(stage, row, "coefficientMatrix")
    intercepts = vector(stage, row, "interceptVector", len(weights))
    classes = int(scalar(stage, row, "numClasses"))
    if entry(stage, row, "isMultinomial"):
        if len(weights) != classes:
            raise stage.unreadable(f"it has weights for {len(weights)} of {classes} classes")
        choose = by_thresholds(scope, classes)

        def several(rows: Summands) -> Floats:
            return products(rows, weights) + intercepts

        return classifier(
            scope, weights.shape[1], classes, Classifier(several, softmax, choose, choose, summed_raw=several)
        )
    if len(weights) != 1 or classes != 2:
        raise stage.unreadable(f"it is binary and has {len(weights)} rows of weights for {classes} classes")
    limit = binary_threshold(scope)

    def raw(rows: Summands) -> Floats:
        return both_ways(dot(rows, weights[0]) + intercepts[0])

    binary = Classifier(
        raw,
        logistic,
        lambda raw: (raw[:, 1] > log_odds(limit)).astype(np.float64),
        lambda probability: (probability[:, 1] > limit).astype(np.float64),
        summed_raw=raw,
    )
    return classifier(scope, weights.shape[1], 2, binary)


def binary_threshold(scope: Scope) -> float:
    """``LogisticRegressionParams.getThreshold``: two thresholds are one, and they come first."""
    limits = thresholds_of(scope)
    if not limits:
        return scope.stage.number("threshold")
    if len(limits) != 2 or min(limits) < 0.0 or max(limits) <= 0.0:
        raise scope.stage.unreadable(f"its thresholds are {limits}")
    return 1.0 / (1.0 + (limits[0] / limits[1] if limits[1] else math.inf))


def log_odds(probability: float) -> float:
    """Return the margin at which a logistic model gives this probability."""
    if probability <= 0.0 or probability >= 1.0:
        return -math.inf if probability <= 0.0 else math.inf
    return math.log(probability / (1.0 - probability))


def linear_svc(scope: Scope) -> Apply:
    """``LinearSVCModel``: the margin's side of the threshold; it has no probability."""
    row, limit = scope.stage.row(), scope.stage.number("threshold")
    weights, intercept = vector(scope.stage, row, "coefficients"), scalar(scope.stage, row, "intercept")

    def choose(raw: Floats) -> Floats:
        return (raw[:, 1] > limit).astype(np.float64)

    def margins(rows: Summands) -> Floats:
        return both_ways(dot(rows, weights) + intercept)

    return classifier(scope, len(weights), 2, Classifier(margins, None, choose, choose, summed_raw=margins))


def linear_regression(scope: Scope) -> Apply:
    """``LinearRegressionModel``."""
    row = scope.stage.row()
    weights, intercept = vector(scope.stage, row, "coefficients"), scalar(scope.stage, row, "intercept")
    source, target = features(scope, len(weights), sparse=True), scope.stage.text("predictionCol")
    scope.put_number(target)

    def apply(columns: Columns) -> None:
        columns.put_numbers(target, dot(columns.summands(source), weights) + intercept)

    return apply


def regression(scope: Scope, size: int, predict: Callable[[Floats], Floats]) -> Apply:
    """Return a regression's stage: one prediction for each row of features (n, size)."""
    source, target = features(scope, size), scope.stage.text("predictionCol")
    scope.put_number(target)

    def apply(columns: Columns) -> None:
        columns.put_numbers(target, predict(columns.vector(source)))

    return apply


def generalized_linear_regression(scope: Scope) -> Apply:
    """``GeneralizedLinearRegressionModel``: the inverse of the link, kept within the family's bounds."""
    stage, row = scope.stage, scope.stage.row()
    if named(scope, "offsetCol"):
        raise scope.refused("it reads an offset from a column")
    weights, intercept = vector(stage, row, "coefficients"), scalar(stage, row, "intercept")
    unlink, project = _unlink(scope), _projection(scope)
    source, prediction, link = (
        features(scope, len(weights), sparse=True),
        named(scope, "predictionCol"),
        named(scope, "linkPredictionCol"),
    )
    for name in filter(None, (prediction, link)):
        scope.put_number(name)

    def apply(columns: Columns) -> None:
        eta = dot(columns.summands(source), weights) + intercept
        if prediction:
            columns.put_numbers(prediction, project(unlink(eta)))
        if link:
            columns.put_numbers(link, eta)

    return apply


_UNLINK: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "inverse": lambda eta: 1.0 / eta,
    "logit": lambda eta: 1.0 / (1.0 + np.exp(-1.0 * eta)),
    "cloglog": lambda eta: 1.0 - np.exp(-1.0 * np.exp(eta)),
    "sqrt": lambda eta: eta * eta,
}
OWN_LINK = {"gaussian": "identity", "binomial": "logit", "poisson": "log", "gamma": "inverse"}
OWN_POWER = {"gaussian": 0.0, "poisson": 1.0, "gamma": 2.0}


def _unlink(scope: Scope) -> Callable[[Floats], Floats]:
    stage, family = scope.stage, scope.stage.text("family").lower()
    if family == "tweedie":
        power = stage.number("linkPower") if stage.has("linkPower") else 1.0 - stage.number("variancePower")
        # ``Link.fromPower`` of Spark: these powers have links of their own.
        own = {0.0: "log", 1.0: "identity", -1.0: "inverse", 0.5: "sqrt"}.get(power)
        return _UNLINK[own] if own else lambda eta: eta ** (1.0 / power)
    link = stage.text("link").lower() if stage.has("link") else OWN_LINK.get(family, "")
    if link not in _UNLINK:
        raise scope.refused(f"its link is {link or family}")
    return _UNLINK[link]


def _projection(scope: Scope) -> Callable[[Floats], Floats]:
    """``Family.project`` of Spark."""
    family = scope.stage.text("family").lower()
    if family == "binomial":
        return lambda mu: np.where(mu < NEAREST, NEAREST, np.where(mu > 1.0 - NEAREST, 1.0 - NEAREST, mu))
    power = scope.stage.number("variancePower") if family == "tweedie" else OWN_POWER.get(family)
    if power is None:
        raise scope.refused(f"its family is {family}")
    if power == 0.0:
        return lambda mu: np.where(np.isinf(mu), np.copysign(LARGEST, mu), mu)
    return lambda mu: np.where(mu < NEAREST, NEAREST, np.where(np.isposinf(mu), LARGEST, mu))
