"""What a rollout's versions answered, with labels, and the loss of each event.

Where each version had events of its own, their losses are compared by day. Where both scored an event, the shadow topic
has both answers, and the losses of one event are subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.backtest.answers import AnswerKind
from streaming.clock import moment
from streaming.judging.losses import losses_of
from streaming.quality.answers import VersionAnswers, classes_of, names_of, version_answers
from streaming.quality.labels import LabelledPredictions, attach
from streaming.quality.tables import PREDICTIONS
from streaming.quality.windows import QualityWindow, WindowShape
from streaming.statistics.arrays import Floats, Ints

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


def days_of(answers: pa.Table) -> Ints:
    """Return the UTC day of each event, counted from 1970-01-01."""
    times = np.asarray(answers["event_time"].cast(pa.int64()).to_numpy(), np.int64)
    return times // round(DAY.total_seconds() * 1000)


def with_labels(answers: pa.Table, labels: LabelSource, horizon: timedelta, now: datetime) -> LabelledPredictions:
    """Give each answer its label; a label that became known when those of its day were due is not used."""
    days, parts = days_of(answers), []
    for day in np.unique(days).tolist():
        window = WindowShape(DAY, horizon).at(moment(day * DAY.total_seconds()))
        before = min(now, window.due)
        parts.append(attach(answers.filter(pa.array(days == day)), labels(window, before), before))
    return joined(parts) if parts else attach(answers, [], now)


def joined(parts: Sequence[LabelledPredictions]) -> LabelledPredictions:
    """Return all of them in their order, of which there is one at least."""
    return LabelledPredictions(
        predictions=pa.concat_tables([part.predictions for part in parts]).unify_dictionaries(),
        truth=pa.concat_arrays([part.truth for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COUNTS},
    )


_COUNTS = ("age", "records", "repeated", "corrected", "withdrawn", "late")


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
