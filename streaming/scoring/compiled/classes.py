"""From a classifier's raw numbers to probability and prediction, as Spark's base classes do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.scope import Apply, Columns, Scope
from streaming.scoring.compiled.values import Floats, Kind, SparseRows, Summands, row_sums

Change = Callable[[Floats], Floats]


def features(scope: Scope, size: int | None = None, *, sparse: bool = False) -> str:
    """Return the column of vectors that a model reads, of ``size`` elements if it says how many.

    Args:
        scope: the model's.
        size: the number of elements.
        sparse: the model takes :class:`streaming.scoring.compiled.values.SparseRows` too.
    """
    name = scope.stage.text("featuresCol")
    if sparse:
        scope.rows(name, size)
    else:
        scope.vector(name, size)
    return name


def named(scope: Scope, parameter: str) -> str:
    """Return the name of an output column, empty where the stage has none."""
    return scope.stage.text(parameter) if scope.stage.has(parameter) else ""


@dataclass(frozen=True)
class Classifier:
    """Three functions of matrices of n rows: features to raw, raw to probability, either to a class."""

    raw: Change
    probability: Change | None
    by_raw: Change
    by_probability: Change
    sparse_raw: Callable[[SparseRows], Floats] | None = None
    """Sparse features to raw, if it takes them."""
    summed_raw: Callable[[Summands], Floats] | None = None
    """Features in any form to raw, if it only adds up products of their elements."""

    def raw_of(self, columns: Columns, source: str) -> Floats:
        """Return the raw numbers of a column of features."""
        if self.summed_raw:
            return self.summed_raw(columns.summands(source))
        rows = columns.rows_of(source)
        if self.sparse_raw and isinstance(rows, SparseRows):
            return self.sparse_raw(rows)
        return self.raw(columns.vector(source))

    @property
    def takes_sparse(self) -> bool:
        """Return whether it takes features of which most elements are zero as they are."""
        return bool(self.sparse_raw or self.summed_raw)


def classifier(scope: Scope, size: int, classes: int, rule: Classifier) -> Apply:
    """Return a classifier's stage (``ProbabilisticClassificationModel.transform``)."""
    if classes < 1:
        raise scope.stage.unreadable("it has no classes")
    source, prediction = features(scope, size, sparse=rule.takes_sparse), named(scope, "predictionCol")
    raw_name = named(scope, "rawPredictionCol")
    probability_name = named(scope, "probabilityCol") if rule.probability else ""
    for name in filter(None, (raw_name, probability_name)):
        scope.put(name, Kind("vector", pa.float64(), classes))
    if prediction:
        scope.put_number(prediction)
    # Without a raw column Spark decides by the probability, where there is one.
    by_raw = not thresholds_of(scope) and (raw_name or not probability_name)

    def apply(columns: Columns) -> None:
        raw = rule.raw_of(columns, source)
        probability = rule.probability(raw) if rule.probability else raw
        if raw_name:
            columns.put(raw_name, raw)
        if probability_name:
            columns.put(probability_name, probability)
        if prediction:
            columns.put_numbers(prediction, rule.by_raw(raw) if by_raw else rule.by_probability(probability))

    return apply


def thresholds_of(scope: Scope) -> list[float]:
    """Return the thresholds of the classes, empty where none are set."""
    return scope.stage.numbers("thresholds") if scope.stage.has("thresholds") else []


def largest(rows: Floats) -> Floats:
    """Return each row's class of the largest number, the first of equal ones (``DenseVector.argmax``).

    Nothing is greater than a NaN there, nor is a NaN greater than anything.

    >>> largest(np.array([[1.0, 2.0, 2.0], [1.0, np.nan, 2.0], [np.nan, 1.0, 2.0]])).tolist()
    [1.0, 2.0, 0.0]
    """
    best = np.argmax(np.where(np.isnan(rows), -np.inf, rows), axis=1)
    return np.where(np.isnan(rows[:, 0]), 0.0, best)


def by_thresholds(scope: Scope, classes: int) -> Change:
    """Return how a class is chosen by probability: that of the largest quotient of it and its threshold."""
    limits = np.array(thresholds_of(scope) or np.ones(classes))
    if len(limits) != classes:
        raise scope.stage.unreadable(f"it has {len(limits)} thresholds for {classes} classes")

    def choose(probability: Floats) -> Floats:
        scaled = probability / limits
        # A class of threshold 0 wins unless its probability is 0 too, and NaN is larger than nothing.
        return largest(np.where(np.isnan(scaled), -np.inf, scaled))

    return choose if thresholds_of(scope) else largest


def softmax(raw: Floats) -> Floats:
    """``Utils.softmax`` of Spark: it multiplies by the inverse of the sum, and by zero beside an infinity."""
    infinite = np.isposinf(raw)
    powers = np.exp(raw - raw.max(axis=1, initial=-np.finfo(np.float64).max)[:, None])
    beside = raw * 0.0
    beside[np.arange(len(raw)), np.argmax(infinite, axis=1)] = 1.0
    return np.where(np.any(infinite, axis=1, keepdims=True), beside, powers * (1.0 / row_sums(powers))[:, None])


def shares(counts: Floats) -> Floats:
    """Return each row by its sum (``normalizeToProbabilitiesInPlace``); zeros stay."""
    sums = row_sums(counts)[:, None]
    return np.where(sums != 0.0, counts / np.where(sums != 0.0, sums, 1.0), counts)


def both_ways(margin: Floats) -> Floats:
    """Return the raw numbers of two classes."""
    return np.stack([-margin, margin], axis=1)


def logistic(margins: Floats, factor: float = 1.0) -> Floats:
    """Return probabilities (n, 2) of two classes, the second as what is missing to 1, as Spark has it."""
    first = 1.0 / (1.0 + np.exp(-factor * margins[:, 0]))
    return np.stack([first, 1.0 - first], axis=1)
