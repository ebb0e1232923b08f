"""The events on which the two sides are furthest apart, with what each said."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from streaming.backtest.answers import AnswerKind, Answers
from streaming.backtest.paired import SIDES
from streaming.clock import isoformat
from streaming.statistics.arrays import Floats


class PartitionOffset(NamedTuple):
    """The position of an event in the recorded topic."""

    partition: int
    offset: int


Values = Callable[[Sequence[PartitionOffset]], Mapping[PartitionOffset, bytes | None]]
"""Fetches events' values; what it leaves out is shown as not kept."""


@dataclass(frozen=True)
class SideAnswer:
    """What one side said of an event: its class or number, the class's score if there is one, and its version.

    The score is the probability of the positive class of two, else of the predicted one.
    """

    prediction: str
    score: float | None
    model_version: int | None


@dataclass(frozen=True)
class Disagreement:
    """An event on which the sides differ by ``distance``.

    That is the probability which one side gives to other classes than the other side does (0 to 1), or 1 for another
    class where there are no probabilities; of numbers it is their difference. ``truth`` is empty without a label.
    ``value`` is the event's value if it is UTF-8, ``value_base64`` if it is not; both are ``None`` if it could not be
    fetched.
    """

    partition: int
    offset: int
    event_id: str | None
    event_time: str | None
    distance: float
    recorded: SideAnswer
    candidate: SideAnswer
    truth: str
    value: str | None
    value_base64: str | None


def no_values(_: Sequence[PartitionOffset]) -> Mapping[PartitionOffset, bytes | None]:
    """Fetch nothing."""
    return {}


def distances(answers: Answers) -> Floats:
    """Return how far the sides are apart on each event; above 0 wherever a number or a probability differs."""
    recorded, candidate = answers.sides
    if answers.kind is AnswerKind.NUMBERS:
        return np.asarray(np.abs(recorded.number - candidate.number), np.float64)
    if recorded.probability is None or candidate.probability is None:
        return np.asarray(recorded.predicted != candidate.predicted, np.float64)
    moved = recorded.probability - candidate.probability
    # Both sums are the same but for rounding. Half of their sum would be 0 for the smallest of differences.
    return np.asarray(np.maximum(moved.clip(min=0).sum(1), (-moved).clip(min=0).sum(1)), np.float64)


def largest(both: pa.Table, answers: Answers, most: int, values: Values) -> tuple[Disagreement, ...]:
    """Return the events on which the sides differ most, the largest first; equal ones in the order of their places.

    Another class counts as a difference although the probabilities are the same: thresholds may have been changed.
    """
    distance = distances(answers)
    recorded, candidate = answers.sides
    differs = (distance > 0) | (recorded.predicted != candidate.predicted)
    # Stable: equal distances keep the order of the events, so reports can be compared.
    rows = np.argsort(-distance, kind="stable")
    rows = rows[differs[rows]][:most]
    events = both.take(rows).to_pylist()
    fetched = values([PartitionOffset(event["partition"], event["offset"]) for event in events])
    return tuple(
        _disagreement(event, answers, int(row), float(distance[row]), fetched)
        for event, row in zip(events, rows, strict=True)
    )


def _disagreement(
    event: Mapping[str, Any],
    answers: Answers,
    row: int,
    distance: float,
    fetched: Mapping[PartitionOffset, bytes | None],
) -> Disagreement:
    position = PartitionOffset(event["partition"], event["offset"])
    recorded, candidate = (_answer(event, answers, side, row) for side in SIDES)
    time = event["event_time"]
    moment = None if time is None else isoformat(time)
    text, base64 = _text(fetched.get(position))
    return Disagreement(
        partition=position.partition,
        offset=position.offset,
        event_id=event["event_id"],
        event_time=moment,
        distance=distance,
        recorded=recorded,
        candidate=candidate,
        truth=_truth(answers, row),
        value=text,
        value_base64=base64,
    )


def _answer(event: Mapping[str, Any], answers: Answers, name: str, row: int) -> SideAnswer:
    index = SIDES.index(name)
    side, version = answers.sides[index], event[f"{name}_model_version"]
    if answers.kind is AnswerKind.NUMBERS:
        return SideAnswer(repr(float(side.number[row])), None, version)
    score = None if answers.scores is None else float(answers.scores[index][row])
    return SideAnswer(answers.classes[int(side.predicted[row])], score, version)


def _truth(answers: Answers, row: int) -> str:
    if not answers.labelled[row]:
        return ""
    truth = float(answers.truth[row])
    return repr(truth) if answers.kind is AnswerKind.NUMBERS else answers.classes[int(truth)]


def _text(value: bytes | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(value).decode()
