"""Metrics of one side on labelled events. Each event has a weight, so that a bootstrap only changes weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streaming.backtest.answers import Answers, Floats, Ints, Kind, Side


@dataclass(frozen=True)
class Metric:
    """``name`` for machines, ``title`` and ``meaning`` for people."""

    name: str
    title: str
    meaning: str
    higher_is_better: bool = True


ACCURACY = Metric("accuracy", "Accuracy", "share of events predicted rightly")
AUC = Metric("auc", "AUC", "chance that a “{positive}” event gets the higher score of two; 0.5 is guessing")
AVERAGE_PRECISION = Metric(
    "average_precision", "Average precision", "precision, averaged over all that a threshold could catch"
)
PRECISION = Metric("precision", "Precision", "of the events called “{positive}”, the share that was")
RECALL = Metric("recall", "Recall", "of the events that were “{positive}”, the share that was called so")
F1 = Metric("f1", "F1", "precision and recall in one number, their harmonic mean")
LOG_LOSS = Metric("log_loss", "Log loss", "how far probabilities were from the truth; sure and wrong costs most", False)
BRIER = Metric("brier", "Brier score", "mean squared distance of the probability from what happened", False)
MACRO_RECALL = Metric("macro_recall", "Balanced accuracy", "recall, averaged over the classes")
MACRO_F1 = Metric("macro_f1", "Macro F1", "F1, averaged over the classes")
MAE = Metric("mae", "Mean absolute error", "mean distance of the prediction from the truth", False)
RMSE = Metric("rmse", "Root mean squared error", "the same, with large errors weighing more", False)

_SMALLEST = 1e-15
"""A probability below it counts as this much, or one event would make the log loss infinite."""


class Judge(Protocol):
    """One side's metrics, in the order of ``metrics``; NaN where one is not defined."""

    metrics: tuple[Metric, ...]

    def __call__(self, weights: Floats) -> Floats:
        """Return the metrics' values with each event counted ``weights`` times."""
        ...


def judge(answers: Answers, side: Side) -> Judge:
    """Return the judge of one side. All events must have a label."""
    if answers.kind is Kind.NUMBERS:
        return _Numbers(side.number, answers.truth)
    truth = answers.truth.astype(np.int64)
    probability = side.probability if answers.scores is not None else None
    positive = answers.positive
    if answers.kind is Kind.TWO_CLASSES:
        score = None if probability is None else probability[:, positive]
        return _TwoClasses(truth == positive, side.predicted == positive, score)
    return _SeveralClasses(truth, side.predicted, probability, len(answers.classes))


class _TwoClasses:
    def __init__(self, true: npt.NDArray[np.bool_], said: npt.NDArray[np.bool_], score: Floats | None) -> None:
        self._columns = np.column_stack([true & said, ~true & said, true & ~said, ~true & ~said]).astype(np.float64)
        self.metrics: tuple[Metric, ...] = (ACCURACY, PRECISION, RECALL, F1)
        self._ranking = None
        if score is not None:
            self._columns = np.column_stack(
                [self._columns, _log_loss(np.where(true, score, 1 - score)), (score - true) ** 2]
            )
            self._ranking = Ranking(score, true)
            self.metrics = (AUC, AVERAGE_PRECISION, *self.metrics, LOG_LOSS, BRIER)

    def __call__(self, weights: Floats) -> Floats:
        tp, fp, fn, tn, *losses = _sums(weights, self._columns)
        total = tp + fp + fn + tn
        with np.errstate(divide="ignore", invalid="ignore"):
            counted = [(tp + tn) / total, tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)]
            ranked = [] if self._ranking is None else self._ranking(weights)
            return np.array([*ranked, *counted, *(loss / total for loss in losses)])


class Ranking:
    """AUC and average precision by the order of the scores, sorted once; events of equal score count as tied."""

    def __init__(self, score: Floats, true: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._true = true[self._order].astype(np.float64)

    def __call__(self, weights: Floats) -> tuple[float, float]:
        """Return both; NaN where only one class has weight."""
        weight = weights[self._order]
        ones = np.add.reduceat(weight * self._true, self._starts)
        zeros = np.add.reduceat(weight, self._starts) - ones
        below = np.cumsum(zeros) - zeros
        all_ones, all_zeros = ones.sum(), zeros.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            auc = (ones * (below + zeros / 2)).sum() / (all_ones * all_zeros)
            caught = np.cumsum(ones[::-1])
            called = caught + np.cumsum(zeros[::-1])
            precision = np.where(called > 0, caught / called, 0.0)
            return float(auc), float((ones[::-1] * precision).sum() / all_ones)


class _SeveralClasses:
    def __init__(self, truth: Ints, predicted: Ints, probability: Floats | None, classes: int) -> None:
        self._truth, self._predicted, self._classes = truth, predicted, classes
        self._loss = None
        self.metrics: tuple[Metric, ...] = (ACCURACY, MACRO_RECALL, MACRO_F1)
        if probability is not None:
            self._loss = _log_loss(probability[np.arange(len(truth)), truth])
            self.metrics = (*self.metrics, LOG_LOSS)

    def __call__(self, weights: Floats) -> Floats:
        cells = np.bincount(self._truth * self._classes + self._predicted, weights, self._classes**2)
        table = cells.reshape(self._classes, self._classes)
        right, were, said = table.diagonal(), table.sum(1), table.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = (right / were)[were > 0].mean()
            f1 = (2 * right / (were + said))[were + said > 0].mean()
            losses = [] if self._loss is None else [(weights * self._loss).sum() / weights.sum()]
            return np.array([right.sum() / weights.sum(), recall, f1, *losses])


class _Numbers:
    metrics: tuple[Metric, ...] = (MAE, RMSE)

    def __init__(self, number: Floats, truth: Floats) -> None:
        error = number - truth
        self._columns = np.column_stack([np.abs(error), error**2])

    def __call__(self, weights: Floats) -> Floats:
        absolute, squared = _sums(weights, self._columns) / weights.sum()
        return np.array([absolute, np.sqrt(squared)])


def _sums(weights: Floats, columns: Floats) -> Floats:
    # Not ``@``: its threads wait for each other, and on a busy machine that takes twenty times as long.
    return np.asarray(np.einsum("i,ij->j", weights, columns))


def _log_loss(probability_of_truth: Floats) -> Floats:
    return -np.log(np.clip(probability_of_truth, _SMALLEST, 1.0))
