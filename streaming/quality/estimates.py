"""What the probabilities alone foretell of events without a label: an estimate, never a measurement.

It is confidence-based performance estimation (CBPE): if a probability of 0.8 comes true in 80 % of cases, then of ten
such events eight are expected to. It is as wrong as the probabilities are, above all where the world has changed since
the model was trained. So each estimate stands beside its own error on the events that have a label.
"""

from __future__ import annotations

from math import isfinite

import numpy as np
import numpy.typing as npt

from schemas.quality import EstimatedFigure, MetricFigure
from streaming.backtest.answers import AnswerKind, Answers
from streaming.backtest.metrics import ACCURACY, BRIER, F1, LOG_LOSS, PRECISION, RECALL, log_losses
from streaming.statistics.arrays import Floats


def estimated(answers: Answers, measured: tuple[MetricFigure, ...]) -> tuple[EstimatedFigure, ...]:
    """Return the estimates; nothing but for two classes with probabilities.

    Args:
        answers: of all predictions, with and without a label.
        measured: the metrics of those with one.
    """
    side, labelled = answers.recorded, answers.labelled
    if answers.kind is not AnswerKind.TWO_CLASSES or side.probability is None:
        return ()
    score, called = side.probability[:, answers.positive], side.predicted == answers.positive
    unlabelled = expected(score[~labelled], called[~labelled])
    checked = expected(score[labelled], called[labelled])
    truth = {figure.name: figure.value for figure in measured}
    return tuple(
        EstimatedFigure(name, value, _difference(checked[name], truth.get(name))) for name, value in unlabelled.items()
    )


def expected(score: Floats, called: npt.NDArray[np.bool_]) -> dict[str, float | None]:
    """Return each metric as it is expected if every event is positive with probability ``score``.

    ``called`` says which events were predicted positive. A metric of ratios is the ratio of the expected counts.
    """
    tp, fp = float(score[called].sum()), float((1 - score[called]).sum())
    fn, tn = float(score[~called].sum()), float((1 - score[~called]).sum())
    count = len(score)
    surprise = score * log_losses(score) + (1 - score) * log_losses(1 - score)
    return {
        ACCURACY.name: _ratio(tp + tn, count),
        PRECISION.name: _ratio(tp, tp + fp),
        RECALL.name: _ratio(tp, tp + fn),
        F1.name: _ratio(2 * tp, 2 * tp + fp + fn),
        LOG_LOSS.name: _ratio(float(surprise.sum()), count),
        BRIER.name: _ratio(float((score * (1 - score)).sum()), count),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 and isfinite(part) else None


def _difference(value: float | None, truth: float | None) -> float | None:
    return None if value is None or truth is None else value - truth
