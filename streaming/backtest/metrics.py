"""Metrics of one side on labelled events. Each event has a weight, so that a bootstrap only changes weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streaming.backtest.answers import AnswerKind, Answers, Side
from streaming.statistics.arrays import Floats, Ints
from streaming.statistics.ranking import Ranking


@dataclass(frozen=True)
class Metric:
    """``name`` for machines, ``title`` and ``meaning`` for people."""

    name: str
    title: str
    meaning: str
    higher_is_better: bool = True


ACCURACY = Metric("accuracy", "Accuracy", "share of events that are predicted correctly")
AUC = Metric(
    "auc", "AUC", "chance that a “{positive}” event has a higher score than one of another class; 0.5 is guessing"
)
AVERAGE_PRECISION = Metric("average_precision", "Average precision", "precision, averaged over all levels of recall")
PRECISION = Metric("precision", "Precision", "share of “{positive}” events among those called so")
RECALL = Metric("recall", "Recall", "share of the “{positive}” events that are called so")
F1 = Metric("f1", "F1", "harmonic mean of precision and recall")
LOG_LOSS = Metric(
    "log_loss", "Log loss", "distance of the probabilities from the truth; confident errors cost most", False
)
BRIER = Metric("brier", "Brier score", "mean squared distance of the probability from what happened", False)
MACRO_RECALL = Metric("macro_recall", "Balanced accuracy", "recall, averaged over the classes")
MACRO_F1 = Metric("macro_f1", "Macro F1", "F1, averaged over the classes")
MAE = Metric("mae", "Mean absolute error", "mean distance of the prediction from the truth", False)
RMSE = Metric("rmse", "Root mean squared error", "the same, with large errors weighing more", False)

EVERY = (
    ACCURACY, AUC, AVERAGE_PRECISION, PRECISION, RECALL, F1, LOG_LOSS, BRIER, MACRO_RECALL, MACRO_F1, MAE, RMSE,
)  # fmt: skip
"""All there are; which of them a comparison has depends on what the model predicts."""

_SMALLEST = float(np.finfo(np.float64).eps)
"""A probability below it counts as this much, or one event would make the log loss infinite; as scikit-learn does."""


Measure = Callable[[Floats], Floats]
"""A function from weights to the metrics' values."""


class SideJudge(Protocol):
    """One side's metrics, in the order of ``metrics``; NaN where one is not defined."""

    metrics: tuple[Metric, ...]

    def __call__(self, weights: Floats) -> Floats:
        """Return the metrics' values with each event counted ``weights`` times."""
        ...

    def pooled(self, unit: Ints, units: int) -> Measure:
        """Return the same for weights of units, faster; ``unit`` says to which each event belongs."""
        ...


def judge(answers: Answers, side: Side) -> SideJudge:
    """Return the judge of one side. All events must have a label."""
    if answers.kind is AnswerKind.NUMBERS:
        return _Numbers(side.number, answers.truth)
    truth = answers.truth.astype(np.int64)
    probability = side.probability if answers.scores is not None else None
    positive = answers.positive
    if answers.kind is AnswerKind.TWO_CLASSES:
        score = None if probability is None else probability[:, positive]
        return _TwoClasses(truth == positive, side.predicted == positive, score)
    return _SeveralClasses(truth, side.predicted, probability, len(answers.classes))


class _TwoClasses:
    def __init__(self, true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_], score: Floats | None) -> None:
        self._columns = np.column_stack(
            [true & predicted, ~true & predicted, true & ~predicted, ~true & ~predicted]
        ).astype(np.float64)
        self.metrics: tuple[Metric, ...] = (ACCURACY, PRECISION, RECALL, F1)
        self._ranking = None
        if score is not None:
            losses = log_losses(np.where(true, score, 1 - score)), (score - true) ** 2
            self._columns = np.column_stack([self._columns, *losses])
            self._ranking = Ranking(score, true)
            self.metrics = (AUC, AVERAGE_PRECISION, *self.metrics, LOG_LOSS, BRIER)

    def __call__(self, weights: Floats) -> Floats:
        return _two_classes(_sums(weights, self._columns), self._ranking(weights) if self._ranking else ())

    def pooled(self, unit: Ints, units: int) -> Measure:
        columns = _by_unit(self._columns, unit, units)
        ranking = self._ranking.pooled(unit, units) if self._ranking else None
        return lambda weights: _two_classes(_sums(weights, columns), ranking(weights) if ranking else ())


def _two_classes(sums: Floats, ranked: Sequence[float]) -> Floats:
    tp, fp, fn, tn, *losses = sums
    total = tp + fp + fn + tn
    with np.errstate(divide="ignore", invalid="ignore"):
        counted = [(tp + tn) / total, tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)]
        return np.array([*ranked, *counted, *(loss / total for loss in losses)])


class _SeveralClasses:
    def __init__(self, truth: Ints, predicted: Ints, probability: Floats | None, classes: int) -> None:
        self._truth, self._predicted, self._classes = truth, predicted, classes
        self._loss = None
        self.metrics: tuple[Metric, ...] = (ACCURACY, MACRO_RECALL, MACRO_F1)
        if probability is not None:
            self._loss = log_losses(probability[np.arange(len(truth)), truth])
            self.metrics = (*self.metrics, LOG_LOSS)

    def __call__(self, weights: Floats) -> Floats:
        cells = np.bincount(self._truth * self._classes + self._predicted, weights, self._classes**2)
        table = cells.reshape(self._classes, self._classes)
        right, were, predicted = table.diagonal(), table.sum(1), table.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = (right / were)[were > 0].mean()
            f1 = (2 * right / (were + predicted))[were + predicted > 0].mean()
            losses = [] if self._loss is None else [(weights * self._loss).sum() / weights.sum()]
            return np.array([right.sum() / weights.sum(), recall, f1, *losses])

    def pooled(self, unit: Ints, units: int) -> Measure:  # noqa: ARG002
        # Counted by unit, many classes would be a large table, and this is fast enough.
        return lambda weights: self(weights[unit])


class _Numbers:
    metrics: tuple[Metric, ...] = (MAE, RMSE)

    def __init__(self, number: Floats, truth: Floats) -> None:
        error = number - truth
        self._columns = np.column_stack([np.abs(error), error**2, np.ones(len(error))])

    def __call__(self, weights: Floats) -> Floats:
        return _numbers(_sums(weights, self._columns))

    def pooled(self, unit: Ints, units: int) -> Measure:
        columns = _by_unit(self._columns, unit, units)
        return lambda weights: _numbers(_sums(weights, columns))


def _numbers(sums: Floats) -> Floats:
    absolute, squared, total = sums
    return np.array([absolute / total, np.sqrt(squared / total)])


def _by_unit(columns: Floats, unit: Ints, units: int) -> Floats:
    return np.column_stack([np.bincount(unit, column, units) for column in columns.T])


def _sums(weights: Floats, columns: Floats) -> Floats:
    # Not ``@``: its threads wait for each other, and on a busy machine that takes twenty times as long.
    return np.asarray(np.einsum("i,ij->j", weights, columns))


def log_losses(probability_of_truth: Floats) -> Floats:
    """Return each event's log loss by the probability that was given to what happened."""
    return np.asarray(-np.log(np.clip(probability_of_truth, _SMALLEST, 1.0)), np.float64)
