"""The compared events as arrays: what either side said of them, in common classes, and what was true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from streaming.backtest.classes import Meaning, Used, in_order, matched, meaning, used
from streaming.backtest.labels import SCHEMA as LABELS
from streaming.backtest.paired import SIDES
from streaming.errors import ConfigurationError
from streaming.statistics.arrays import Floats, Ints

MOST_NUMBERED_CLASSES = 1_000
"""A prediction that is no whole number below it cannot be the number of a class."""
UNKNOWN = -1
"""The class of an event without a label."""


class AnswerKind(str, Enum):
    """What the models predict."""

    TWO_CLASSES = "two classes"
    SEVERAL_CLASSES = "several classes"
    NUMBERS = "numbers"


@dataclass(frozen=True)
class Side:
    """One side's answers. ``probability`` is events by classes, absent where an event or the model has none.

    ``number`` is the prediction as it was given, ``predicted`` its class; of numbers there are no classes.
    """

    number: Floats
    predicted: Ints
    probability: Floats | None

    def only(self, chosen: npt.NDArray[np.bool_]) -> Side:
        """Return these events alone."""
        probability = None if self.probability is None else self.probability[chosen]
        return Side(self.number[chosen], self.predicted[chosen], probability)


@dataclass(frozen=True)
class Answers:
    """Both sides on the events that both have predicted, in the pairs' order.

    ``positive`` is the class that a score is about if there are two. ``truth`` is a class, or :data:`UNKNOWN`; with
    numbers it is a number, or NaN. ``hour`` counts from 1970 and is absent where an event has no time.
    """

    kind: AnswerKind
    classes: tuple[str, ...]
    positive: int
    recorded: Side
    candidate: Side
    truth: Floats
    hour: Ints | None

    @property
    def sides(self) -> tuple[Side, Side]:
        """Recorded, then candidate."""
        return self.recorded, self.candidate

    @cached_property
    def scores(self) -> tuple[Floats, Floats] | None:
        """Both sides' scores: numbers, or probabilities of the positive of two classes, else of the predicted one."""
        if self.kind is AnswerKind.NUMBERS:
            return self.recorded.number, self.candidate.number
        recorded, candidate = (side.probability for side in self.sides)
        if recorded is None or candidate is None:
            return None
        if self.kind is AnswerKind.TWO_CLASSES:
            return recorded[:, self.positive], candidate[:, self.positive]
        return recorded.max(1), candidate.max(1)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which events have a label."""
        usable: npt.NDArray[np.bool_] = np.isfinite(self.truth) & (self.truth != UNKNOWN)
        return usable if self.kind is not AnswerKind.NUMBERS else np.isfinite(self.truth)

    def only(self, chosen: npt.NDArray[np.bool_]) -> Answers:
        """Return these events alone."""
        recorded, candidate = (side.only(chosen) for side in self.sides)
        hour = None if self.hour is None else self.hour[chosen]
        return Answers(
            kind=self.kind,
            classes=self.classes,
            positive=self.positive,
            recorded=recorded,
            candidate=candidate,
            truth=self.truth[chosen],
            hour=hour,
        )


def answers(both: pa.Table, labels: pa.Table | None, positive: str) -> Answers:
    """Read the pairs that both sides have predicted.

    Raises:
        ConfigurationError: labels were given, and none is of these events, or none is a class that was predicted; or
            there is no class ``positive``.
    """
    truth = _truth(both, labels)
    return _numbers(both, truth) if _are_numbers(both) else _classes(both, truth, positive)


def _numbers(both: pa.Table, truth: pd.Series[str]) -> Answers:
    # Numbers have no classes; the arrays of classes are never read for them.
    nothing = np.zeros(both.num_rows, np.int64)
    sides = [Side(_floats(both[f"{side}_prediction"]), nothing, None) for side in SIDES]
    return Answers(
        kind=AnswerKind.NUMBERS,
        classes=(),
        positive=0,
        recorded=sides[0],
        candidate=sides[1],
        truth=_as_numbers(truth),
        hour=_hours(both),
    )


def _classes(both: pa.Table, truth: pd.Series[str], positive: str) -> Answers:
    truths = set(truth.dropna())
    parts = list(_versions(both))
    names = meaning({part.key: part.used for part in parts}, truths)
    predicted = {name for classes in names.values() for name in classes}
    same = matched(truths, predicted)
    if truths and not predicted & set(same.values()):
        raise ConfigurationError(
            f"the labels are {_some(truths)}, but the models predict {_some(predicted)}; the labels' file must use the"
            " models' words"
        )
    classes = in_order(predicted | set(same.values()))
    kind = AnswerKind.TWO_CLASSES if len(classes) == 2 else AnswerKind.SEVERAL_CLASSES
    code = {name: number for number, name in enumerate(classes)}
    codes = truth.map({text: code[name] for text, name in same.items()}).fillna(UNKNOWN)
    sides = [_side(both, side, [p for p in parts if p.key[0] == side], names, code) for side in SIDES]
    return Answers(
        kind=kind,
        classes=classes,
        positive=_positive(classes, positive),
        recorded=sides[0],
        candidate=sides[1],
        truth=_as_numbers(codes),
        hour=_hours(both),
    )


@dataclass(frozen=True)
class _Part:
    """The rows of one version on one side."""

    key: tuple[str, int]
    rows: Ints
    number: Ints
    probability: Floats | None
    label: pd.Series[str]

    @property
    def used(self) -> Used:
        """What its numbers mean."""
        width = 0 if self.probability is None else self.probability.shape[1]
        return used(pd.Series(self.number), self.label, width)


def _versions(both: pa.Table) -> Iterator[_Part]:
    for side in SIDES:
        version = both[f"{side}_model_version"].fill_null(0).to_numpy()
        for number in np.unique(version):
            rows = np.flatnonzero(version == number)
            part = both.take(rows)
            label = part[f"{side}_label"].to_pandas().reset_index(drop=True)
            classes = _floats(part[f"{side}_prediction"]).astype(np.int64)
            yield _Part(
                key=(side, int(number)),
                rows=rows,
                number=classes,
                probability=probability_matrix(part[f"{side}_probability"]),
                label=label,
            )


def _side(both: pa.Table, side: str, parts: list[_Part], names: Meaning, code: Mapping[str, int]) -> Side:
    predicted = np.zeros(both.num_rows, np.int64)
    probability: Floats | None = np.zeros((both.num_rows, len(code)))
    for part in parts:
        codes = np.array([code[name] for name in names[part.key]], np.int64)
        predicted[part.rows] = codes[part.number]
        # A side in which one version has no probabilities has no scores to compare.
        if part.probability is None or probability is None:
            probability = None
        else:
            probability[np.ix_(part.rows, codes[: part.probability.shape[1]])] = part.probability
    return Side(_floats(both[f"{side}_prediction"]), predicted, probability)


def probability_matrix(column: pa.ChunkedArray) -> Floats | None:
    """Return lists of one length as a matrix; ``None`` if some are missing or differ."""
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        return None
    flat = pc.list_flatten(column)
    return None if flat.null_count else _floats(flat).reshape(-1, lengths[0])


def _are_numbers(both: pa.Table) -> bool:
    """Numbers have neither names nor probabilities, and at least one cannot be the number of a class."""
    if any(both[f"{side}_{name}"].null_count < both.num_rows for side in SIDES for name in ("label", "probability")):
        return False
    values = np.concatenate([_floats(both[f"{side}_prediction"]) for side in SIDES])
    return bool(np.any((values < 0) | (values >= MOST_NUMBERED_CLASSES) | (values != np.floor(values))))


def _positive(classes: tuple[str, ...], name: str) -> int:
    if name and name not in classes:
        raise ConfigurationError(f"the positive class {name!r} is not one of {_some(classes)}")
    return classes.index(name) if name else min(1, len(classes) - 1)


def _truth(both: pa.Table, labels: pa.Table | None) -> pd.Series[str]:
    if labels is None:
        return pd.Series([None] * both.num_rows, dtype="object")
    labels = labels.select(LABELS.names).cast(LABELS)
    values = labels["label"].take(pc.index_in(both["event_id"], labels["event_id"].combine_chunks()))
    if both.num_rows and values.null_count == both.num_rows:
        raise ConfigurationError(
            f"none of the {labels.num_rows:,} labels is of a compared event: the labels are of ids like"
            f" {_some(labels['event_id'].slice(0, 1).to_pylist())}, the events have ids like"
            f" {_some(both['event_id'].slice(0, 1).to_pylist())}"
        )
    texts: pd.Series[str] = values.to_pandas()
    return texts


def _as_numbers(truth: pd.Series[Any]) -> Floats:
    try:
        return np.asarray(truth, np.float64)
    except ValueError as problem:
        raise ConfigurationError(f"the models predict numbers, but a label is not a number: {problem}") from problem


def _hours(both: pa.Table) -> Ints | None:
    times = both["event_time"]
    if times.null_count or not both.num_rows:
        return None
    microseconds: Ints = times.cast(pa.int64()).to_numpy()
    return microseconds // 3_600_000_000


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), np.float64)


def _some(values: Iterable[object]) -> str:
    shown = sorted(str(value) for value in values)
    return ", ".join(repr(value) for value in shown[:5]) + (", ..." if len(shown) > 5 else "")
