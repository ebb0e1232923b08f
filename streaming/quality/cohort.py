"""A window's versions, measured; and whether that may decide anything, which is a matter of type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.quality import CoverageAtAge, LabelCounts, SliceQuality, VersionQuality
from streaming.backtest.answers import AnswerKind
from streaming.quality.answers import VersionAnswers, classes_of, names_of, version_answers
from streaming.quality.estimates import estimated
from streaming.quality.figures import figures
from streaming.quality.labels import LabelledPredictions
from streaming.quality.windows import QualityWindow

AGES = (3_600, 6 * 3_600, 86_400, 3 * 86_400, 7 * 86_400)
"""Seconds from an event to its label at which coverage is told."""


@dataclass(frozen=True)
class MatureCohort:
    """A window whose labels were all due. Only of these are records made, and only these may decide."""

    window: QualityWindow
    versions: tuple[VersionQuality, ...]


@dataclass(frozen=True)
class EarlyCohort:
    """A window that may yet change; ``why`` says what is still to come. It is shown, and never decides.

    Labels that come early differ from the rest, so its metrics are not a first draft of the mature ones.
    """

    window: QualityWindow
    versions: tuple[VersionQuality, ...]
    why: str


@dataclass(frozen=True)
class MeasuringRules:
    """``positive`` is the class that is called so, ``None`` the second; after ``most_slices`` the rest is one slice."""

    positive: str | None = None
    slice_column: str | None = None
    most_slices: int = 20


def measured(labelled: LabelledPredictions, rules: MeasuringRules, waited: timedelta) -> tuple[VersionQuality, ...]:
    """Measure every version of a window, in every role that it had.

    Args:
        labelled: the window's predictions.
        rules: how.
        waited: for how long labels of the window's last event have been able to come; the horizon, if it is mature.
    """
    versions = {number: labelled.only(_equal(labelled, "version", number)) for number in _values(labelled, "version")}
    classes = {number: classes_of(part) for number, part in versions.items()}
    truths = [text for text in pc.unique(labelled.truth).to_pylist() if text is not None]
    names = names_of({number: uses for number, uses in classes.items() if uses is not None}, truths)
    made = []
    for number, part in versions.items():
        for role in _values(part, "role"):
            served = part.only(_equal(part, "role", role))
            answered = version_answers(served, names.get(number), rules.positive)
            made.append(_version(served, answered, rules, waited))
    return tuple(made)


def _version(
    part: LabelledPredictions, answered: VersionAnswers, rules: MeasuringRules, waited: timedelta
) -> VersionQuality:
    answers = answered.answers
    metrics = figures(answers.only(answered.labelled))
    first = part.predictions.slice(0, 1).to_pylist()[0]
    return VersionQuality(
        version=first["version"],
        role=first["role"],
        kind=answers.kind.value,
        positive=answers.classes[answers.positive] if answers.kind is AnswerKind.TWO_CLASSES else None,
        events=len(answered.labelled),
        labelled=int(answered.labelled.sum()),
        coverage=tuple(_coverage(part, age, waited) for age in AGES),
        labels=_counts(part, answered),
        metrics=metrics,
        estimated=estimated(answers, metrics),
        slices=tuple(_slices(part, answered, rules)),
    )


def _coverage(part: LabelledPredictions, seconds: int, waited: timedelta) -> CoverageAtAge:
    # An age that the last events have not reached would count them as never labelled.
    if timedelta(seconds=seconds) > waited:
        return CoverageAtAge(seconds, None, "labels of that age are not due or not waited for")
    in_time = (part.age >= 0) & (part.age <= seconds * 1000)
    return CoverageAtAge(seconds, float(in_time.mean()))


def _counts(part: LabelledPredictions, answered: VersionAnswers) -> LabelCounts:
    return LabelCounts(
        records=int(part.records.sum()),
        repeated=int(part.repeated.sum()),
        corrected=int(part.corrected.sum()),
        withdrawn=int(part.withdrawn.sum()),
        unknown=int(answered.unknown.sum()),
        late=int(part.late.sum()),
    )


def _slices(part: LabelledPredictions, answered: VersionAnswers, rules: MeasuringRules) -> Iterator[SliceQuality]:
    """Yield the slices, the largest first, and the rest as one."""
    if rules.slice_column is None:
        return
    column = part.predictions["slice"].combine_chunks()
    counts = pc.value_counts(column.drop_null()).to_pylist()
    largest = sorted(counts, key=lambda entry: (-entry["counts"], entry["values"]))[: rules.most_slices]
    others = np.ones(len(column), np.bool_)
    for entry in largest:
        chosen = _mask(pc.equal(column, entry["values"]))
        others &= ~chosen
        yield _slice(entry["values"], chosen, answered)
    if others.any():
        yield _slice(None, others, answered)


def _slice(value: str | None, chosen: npt.NDArray[np.bool_], answered: VersionAnswers) -> SliceQuality:
    labelled = chosen & answered.labelled
    return SliceQuality(value, int(chosen.sum()), int(labelled.sum()), figures(answered.answers.only(labelled)))


def _values(part: LabelledPredictions, column: str) -> list[Any]:
    return sorted(pc.unique(_plain(part, column)).to_pylist())


def _equal(part: LabelledPredictions, column: str, value: Any) -> npt.NDArray[np.bool_]:
    return _mask(pc.equal(_plain(part, column), value))


def _plain(part: LabelledPredictions, column: str) -> pa.ChunkedArray:
    values = part.predictions[column]
    return values.cast(pa.string()) if column == "role" else values


def _mask(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(array.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)
