"""The metrics of one version's labelled predictions, with intervals, and why one is not defined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite

import numpy as np

from schemas.quality import MetricFigure
from streaming.backtest.answers import AnswerKind, Answers, Side
from streaming.backtest.metrics import (
    ACCURACY,
    AUC,
    AVERAGE_PRECISION,
    BRIER,
    F1,
    LOG_LOSS,
    MACRO_F1,
    MACRO_RECALL,
    MAE,
    PRECISION,
    RECALL,
    RMSE,
    Metric,
    judge,
    log_losses,
)
from streaming.statistics.arrays import Floats
from streaming.statistics.fit import calibration_error, explained_variance
from streaming.statistics.intervals import Estimate, mean_interval, wilson

CONFIDENCE = 0.95
CALIBRATION_ERROR = Metric(
    "calibration_error", "Calibration error", "mean distance of the probabilities from the shares that came true", False
)
R2 = Metric("r2", "R²", "share of the truth's scatter that the predictions explain")
BIAS = Metric("bias", "Bias", "mean of prediction minus truth", False)

TWO_CLASSES = (ACCURACY, PRECISION, RECALL, F1, AUC, AVERAGE_PRECISION, LOG_LOSS, BRIER, CALIBRATION_ERROR)
SEVERAL_CLASSES = (ACCURACY, MACRO_RECALL, MACRO_F1, LOG_LOSS, CALIBRATION_ERROR)
NUMBERS = (MAE, RMSE, R2, BIAS)
METRICS = {
    AnswerKind.TWO_CLASSES: TWO_CLASSES,
    AnswerKind.SEVERAL_CLASSES: SEVERAL_CLASSES,
    AnswerKind.NUMBERS: NUMBERS,
}
"""The metrics of each kind of model, in the order in which they are shown."""

_NO_LABELS = "no prediction has a label"
_NO_PROBABILITIES = "the model gives no probabilities"


def figures(answers: Answers) -> tuple[MetricFigure, ...]:
    """Return every metric that this kind of model has; all predictions must have a label, and there may be none."""
    if not len(answers.truth):
        return tuple(MetricFigure(metric.name, None, reason=_NO_LABELS) for metric in METRICS[answers.kind])
    side = answers.recorded
    made = judge(answers, side)
    values = dict(zip((m.name for m in made.metrics), made(np.ones(len(answers.truth))).tolist(), strict=True))
    values.update(_further(answers, side))
    intervals = dict(_intervals(answers, side))
    return tuple(_figure(metric.name, values, intervals, answers) for metric in METRICS[answers.kind])


def truth_probabilities(answers: Answers, side: Side) -> Floats | None:
    """Return the probability that the side gave to each event's true class; ``None`` without probabilities."""
    if side.probability is None or answers.kind is AnswerKind.NUMBERS:
        return None
    truth = answers.truth.astype(np.int64)
    return np.asarray(side.probability[np.arange(len(truth)), truth], np.float64)


def _further(answers: Answers, side: Side) -> Iterator[tuple[str, float]]:
    """Yield the metrics that a backtest does not have."""
    if answers.kind is AnswerKind.NUMBERS:
        yield R2.name, explained_variance(side.number, answers.truth)
        yield BIAS.name, float(np.mean(side.number - answers.truth))
    elif side.probability is not None:
        truth = answers.truth.astype(np.int64)
        if answers.kind is AnswerKind.TWO_CLASSES:
            score, true = side.probability[:, answers.positive], truth == answers.positive
        else:
            score, true = side.probability.max(1), truth == side.probability.argmax(1)
        yield CALIBRATION_ERROR.name, calibration_error(score, true)


def _intervals(answers: Answers, side: Side) -> Iterator[tuple[str, Estimate]]:
    if answers.kind is AnswerKind.NUMBERS:
        yield MAE.name, mean_interval(np.abs(side.number - answers.truth), CONFIDENCE)
        return
    right = int(np.count_nonzero(side.predicted == answers.truth))
    yield ACCURACY.name, wilson(right, len(answers.truth), CONFIDENCE)
    given_to_truth = truth_probabilities(answers, side)
    if given_to_truth is not None:
        yield LOG_LOSS.name, mean_interval(log_losses(given_to_truth), CONFIDENCE)


def _figure(name: str, values: dict[str, float], intervals: dict[str, Estimate], answers: Answers) -> MetricFigure:
    if name not in values:
        return MetricFigure(name, None, reason=_NO_PROBABILITIES)
    value, interval = values[name], intervals.get(name)
    if not isfinite(value):
        return MetricFigure(name, None, reason=_REASONS[name](answers))
    if interval is None or not isfinite(interval.low):
        return MetricFigure(name, value)
    return MetricFigure(name, value, interval.low, interval.high)


def _positive(answers: Answers) -> str:
    return f"“{answers.classes[answers.positive]}”"


_REASONS: dict[str, Callable[[Answers], str]] = {
    AUC.name: lambda answers: f"all labels are “{answers.classes[int(answers.truth[0])]}”",
    AVERAGE_PRECISION.name: lambda answers: f"no label is {_positive(answers)}",
    PRECISION.name: lambda answers: f"nothing was predicted to be {_positive(answers)}",
    RECALL.name: lambda answers: f"no label is {_positive(answers)}",
    F1.name: lambda answers: f"no label is {_positive(answers)}, and nothing was predicted to be",
    R2.name: lambda _: "all labels are equal",
}
"""Why a metric has no value, of those that can have none."""
