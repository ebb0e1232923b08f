"""What a rollout's versions answered, with labels, and the loss of each event.

Where each version had events of its own, their losses are compared by day. Where both scored an event, the shadow topic
has both answers, and the losses of one event are subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.backtest.answers import AnswerKind
from streaming.judging.losses import losses_of
from streaming.quality.answers import VersionAnswers, classes_of, names_of, version_answers
from streaming.quality.labels import LabelledPredictions, attach
from streaming.quality.tables import PREDICTIONS, days_of
from streaming.quality.windows import QualityWindow, WindowShape
from streaming.statistics.arrays import Floats

DAY = timedelta(days=1)
ANSWERS = PREDICTIONS.append(pa.field("weight_epoch", pa.int64()))
"""Predictions of a rollout; ``role`` is the arm: ``candidate`` wherever its version answered, else ``champion``."""

LabelSource = Callable[[QualityWindow, datetime], Iterable[pa.Table]]
"""Gives the labels that may be of a window and became known before a time."""


class PairedSides(NamedTuple):
    """Both versions' answers to the same events, row by row, each of :data:`ANSWERS`."""

    champion: pa.Table
    candidate: pa.Table


class LossKind(str, Enum):
    """The loss by which versions are compared: what all of their answers have."""

    LOG_LOSS = "log loss"
    ERRORS = "error rate"
    ABSOLUTE_ERROR = "mean absolute error"


@dataclass(frozen=True)
class EventLosses:
    """The loss of each event, NaN where it has no label that its version knows."""

    kind: LossKind
    values: Floats


def with_labels(answers: pa.Table, labels: LabelSource, horizon: timedelta, now: datetime) -> LabelledPredictions:
    """Give each answer its label; a label that became known when those of its day were due is not used.

    The labels' topic is read once for all days, however long labels are waited for: the days' own stretches of it
    overlap, and with a horizon of a week each label would be read eight times.
    """
    if not answers.num_rows:
        return attach(answers, [], now)
    shape, times = WindowShape(DAY, horizon), answers["event_time"]
    first, last = (shape.at(time) for time in (pc.min(times).as_py(), pc.max(times).as_py()))
    whole = QualityWindow(first.start, last.end, horizon)
    # The same for all events of a day: the end of the day and the horizon.
    due = (days_of(answers) + 1) * _milliseconds(DAY) + _milliseconds(horizon)
    before = np.minimum(due, int(now.timestamp() * 1000))
    return attach(answers, labels(whole, min(now, whole.due)), before)


def _milliseconds(length: timedelta) -> int:
    return round(length.total_seconds() * 1000)


def event_losses(labelled: LabelledPredictions) -> EventLosses:
    """Return the loss of each event by what all versions among them give: probabilities, classes or numbers."""
    answered = list(_answered(labelled))
    kinds = {by.answers.kind for _, by in answered}
    # One loss for all, or the loss itself would be a difference between the versions.
    if AnswerKind.NUMBERS in kinds:
        kind = LossKind.ABSOLUTE_ERROR
    else:
        is_scored = all(by.answers.recorded.probability is not None for _, by in answered)
        kind = LossKind.LOG_LOSS if is_scored else LossKind.ERRORS
    values = np.full(len(labelled.truth), np.nan)
    for rows, by in answered:
        of_version = np.full(len(by.labelled), np.nan)
        of_version[by.labelled] = losses_of(by.answers.only(by.labelled), kind is LossKind.LOG_LOSS)
        values[rows] = of_version
    return EventLosses(kind, values)


def _answered(labelled: LabelledPredictions) -> Iterator[tuple[npt.NDArray[np.bool_], VersionAnswers]]:
    """Yield each version's rows and answers, in classes that all versions share."""
    versions = np.asarray(labelled.predictions["version"].to_numpy(), np.int64)
    masks = {int(version): versions == version for version in np.unique(versions)}
    parts = {version: labelled.only(rows) for version, rows in masks.items()}
    classes = {version: uses for version, part in parts.items() if (uses := classes_of(part)) is not None}
    truths = [text for text in pc.unique(labelled.truth).to_pylist() if text is not None]
    names = names_of(classes, truths)
    for version, part in parts.items():
        yield masks[version], version_answers(part, names.get(version), None)
