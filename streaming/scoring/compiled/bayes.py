"""Naive Bayes and k-means: models that compare a row with one row of numbers for each class or cluster."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streaming.scoring.compiled.classes import Classifier, by_thresholds, classifier, features, softmax
from streaming.scoring.compiled.fitted import matrix, scalar, vector
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import Floats, Mask, SparseRows, dot, products, row_sums


def naive_bayes(scope: Scope) -> Apply:
    """``NaiveBayesModel`` of all four types."""
    stage, row, kind = scope.stage, scope.stage.row(), scope.stage.text("modelType")
    prior, theta = vector(stage, row, "pi"), matrix(stage, row, "theta")
    spread = matrix(stage, row, "sigma") if kind == "gaussian" else theta
    if len(theta) != len(prior) or spread.shape != theta.shape:
        raise stage.unreadable(f"its fitted values are not of one size for {len(prior)} classes")
    makers: dict[str, Callable[[], Callable[[Floats], Floats]]] = {
        "multinomial": lambda: lambda rows: prior + products(_counts(scope, rows), theta),
        "complement": lambda: lambda rows: _complement(products(_counts(scope, rows), theta)),
        "bernoulli": lambda: _bernoulli(scope, prior, theta),
        "gaussian": lambda: _gaussian(prior, theta, spread),
    }
    if kind not in makers:
        raise scope.refused(f"its type is {kind}")
    choose = by_thresholds(scope, len(prior))
    sparse = {
        "multinomial": lambda rows: prior + products(_sparse_counts(scope, rows), theta),
        "complement": lambda rows: _complement(products(_sparse_counts(scope, rows), theta)),
    }.get(kind)
    return classifier(scope, theta.shape[1], len(prior), Classifier(makers[kind](), softmax, choose, choose, sparse))


def _checked(scope: Scope, rows: Floats, good: Mask, why: str) -> Floats:
    reject(scope.stage, scope.stage.text("featuresCol"), np.any(~good, axis=1), why)
    return rows


def _counts(scope: Scope, rows: Floats) -> Floats:
    return _checked(scope, rows, rows >= 0.0, "has an element that is negative or NaN")


def _sparse_counts(scope: Scope, rows: SparseRows) -> SparseRows:
    wrong = np.bincount(rows.row, ~(rows.value >= 0.0), rows.shape[0]) > 0
    reject(scope.stage, scope.stage.text("featuresCol"), wrong, "has an element that is negative or NaN")
    return rows


def _complement(raw: Floats) -> Floats:
    most = raw.max(axis=1)
    return np.asarray(raw - (np.log(row_sums(np.exp(raw - most[:, None]))) + most)[:, None])


def _bernoulli(scope: Scope, prior: Floats, theta: Floats) -> Callable[[Floats], Floats]:
    absent = np.log1p(-np.exp(theta))
    base, weights = prior + row_sums(absent), theta - absent
    return lambda rows: (
        base + products(_checked(scope, rows, (rows == 0.0) | (rows == 1.0), "has an element beside 0 and 1"), weights)
    )


def _gaussian(prior: Floats, theta: Floats, spread: Floats) -> Callable[[Floats], Floats]:
    logs = row_sums(np.log(spread))

    def raw(rows: Floats) -> Floats:
        sums = [row_sums((rows - mean) ** 2 / variance) for mean, variance in zip(theta, spread, strict=True)]
        return prior - (np.stack(sums, axis=1) + logs) / 2

    return raw


def k_means(scope: Scope) -> Apply:
    """``KMeansModel``: the nearest centre, the first of equally near ones."""
    stage = scope.stage
    rows = sorted(stage.rows(), key=lambda row: scalar(stage, row, "clusterIdx"))
    if not rows or [row["clusterIdx"] for row in rows] != list(range(len(rows))):
        raise stage.unreadable("its clusters are not numbered from 0")
    size = len(vector(stage, rows[0], "clusterCenter"))
    centres = np.stack([vector(stage, row, "clusterCenter", size) for row in rows])
    measures = {"euclidean": squared_distances, "cosine": cosine_distances}
    measure = measures.get(stage.text("distanceMeasure"))
    if measure is None:
        raise scope.refused(f"its distance is {stage.text('distanceMeasure')}")
    source, target = features(scope, size), stage.text("predictionCol")
    scope.put_number(target)

    def apply(columns: Columns) -> None:
        rows = columns.vector(source)
        if measure is cosine_distances:
            reject(stage, source, np.all(rows == 0.0, axis=1), "has no length, and so no angle")
        columns.put_numbers(target, np.argmin(measure(rows, centres), axis=1).astype(np.float64))

    return apply


def squared_distances(rows: Floats, centres: Floats) -> Floats:
    """Return (n, m): the square of the distance of each of n rows from each of m centres."""
    return np.stack([row_sums((rows - centre) ** 2) for centre in centres], axis=1)


def cosine_distances(rows: Floats, centres: Floats) -> Floats:
    """Return (n, m): 1 less the cosine of the angle between each of n rows and each of m centres."""
    norms = np.sqrt(row_sums(rows * rows))
    lengths = np.sqrt(row_sums(centres * centres))
    return np.stack([1.0 - dot(rows, c) / norms / length for c, length in zip(centres, lengths, strict=True)], axis=1)
