"""What the labels tell: every metric of both sides, and the tables and curves behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streaming.backtest.answers import AnswerKind, Answers
from streaming.backtest.bootstrap import Measured, paired_bootstrap
from streaming.backtest.draws import draws_for
from streaming.backtest.metrics import Metric, judge
from streaming.backtest.options import Options
from streaming.backtest.tables import CalibrationBin, Counts, Curve, calibration, cross_table, curve
from streaming.backtest.timeline import TimelineStretch, timeline
from streaming.errors import ConfigurationError


@dataclass(frozen=True)
class Method:
    """How the intervals were made: what was drawn (``days``, ``events``, ...), how many there are, and how often."""

    drawn: str
    units: int
    replicates: int


@dataclass(frozen=True)
class Labelled:
    """What the labels tell. Tables count by true class (rows) and predicted class; tuples are recorded, candidate.

    ``deciding`` is the name of the metric that the verdict rests on, and ``timeline`` is of it; ``fewest`` is how many
    events the rarest class has. ``curves`` and ``calibrations`` are empty without two classes and probabilities.
    """

    metrics: tuple[Measured, ...]
    deciding: str
    fewest: int
    method: Method
    timeline: tuple[TimelineStretch, ...]
    confusion: tuple[Counts, ...]
    curves: tuple[Curve, ...]
    calibrations: tuple[tuple[CalibrationBin, ...], ...]


def judge_labelled(pair: Answers, options: Options) -> Labelled:
    """Judge both sides by the events that have a label; there is at least one.

    Raises:
        ConfigurationError: there is no metric of the wanted name.
    """
    labelled = pair.only(pair.labelled)
    judges = judge(labelled, labelled.recorded), judge(labelled, labelled.candidate)
    position = _position_of(judges[0].metrics, options.metric)
    draws = draws_for(labelled.hour, len(labelled.truth), options.replicates)
    truth = labelled.truth.astype(np.int64)
    confusion: tuple[Counts, ...] = ()
    if labelled.kind is not AnswerKind.NUMBERS:
        confusion = tuple(cross_table(truth, side.predicted, len(labelled.classes)) for side in labelled.sides)
    ranked = (labelled.scores or ()) if labelled.kind is AnswerKind.TWO_CLASSES else ()
    true = truth == labelled.positive
    return Labelled(
        metrics=paired_bootstrap(judges, draws, options.confidence, options.seed),
        deciding=judges[0].metrics[position].name,
        fewest=_fewest(labelled),
        method=Method(draws.unit_name, draws.count, draws.replicates),
        timeline=timeline(labelled.hour, judges, position),
        confusion=confusion,
        curves=tuple(curve(score, true) for score in ranked),
        calibrations=tuple(calibration(score, true, options.confidence) for score in ranked),
    )


def _position_of(metrics: Sequence[Metric], name: str) -> int:
    names = [metric.name for metric in metrics]
    if name and name not in names:
        raise ConfigurationError(f"the metric {name!r} is not available here; choose one of {', '.join(names)}")
    return names.index(name) if name else 0


def _fewest(labelled: Answers) -> int:
    if labelled.kind is AnswerKind.NUMBERS:
        return len(labelled.truth)
    counts = np.bincount(labelled.truth.astype(np.int64), minlength=len(labelled.classes))
    return int(counts.min() if labelled.kind is AnswerKind.TWO_CLASSES else counts[counts > 0].min())
