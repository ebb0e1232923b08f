"""A version's predictions and their labels as arrays, in classes that both share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from streaming.backtest.answers import MOST_NUMBERED_CLASSES, UNKNOWN, AnswerKind, Answers, Side, probability_matrix
from streaming.backtest.classes import Used, matched, meaning, used
from streaming.quality.labels import LabelledPredictions
from streaming.statistics.arrays import Floats, Ints


@dataclass(frozen=True)
class VersionAnswers:
    """``answers`` has the same side twice; ``unknown`` marks labels that are no class of the model, or no number."""

    answers: Answers
    unknown: npt.NDArray[np.bool_]

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which predictions have a label that is used."""
        return self.answers.labelled


def classes_of(part: LabelledPredictions) -> Used | None:
    """Return what a version's predictions say of its classes; ``None`` if they are numbers."""
    table = part.predictions
    numbers = _floats(table["prediction"])
    bare = table["label"].null_count == table["probability"].null_count == table.num_rows
    if bare and np.any((numbers < 0) | (numbers >= MOST_NUMBERED_CLASSES) | (numbers != np.floor(numbers))):
        return None
    matrix = probability_matrix(table["probability"])
    names = table["label"].cast(pa.string()).to_pandas()
    return used(pd.Series(numbers.astype(np.int64)), names, 0 if matrix is None else matrix.shape[1])


def names_of(versions: Mapping[int, Used], truths: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Name the classes of every version, each in the order of its own numbers."""
    named = meaning({("served", version): classes for version, classes in versions.items()}, truths)
    return {version: names for (_, version), names in named.items()}


def version_answers(part: LabelledPredictions, names: tuple[str, ...] | None, positive: str | None) -> VersionAnswers:
    """Read one version's predictions.

    Args:
        part: its predictions.
        names: of its classes by number; ``None`` if it predicts numbers.
        positive: the class that is called positive, if there are two and the version has it; else the second one.
    """
    numbers = _floats(part.predictions["prediction"])
    if names is None:
        truth = np.array([_number(text) for text in part.truth.to_pylist()], np.float64)
        side = Side(numbers, np.zeros(len(numbers), np.int64), None)
        kind, positive_class = AnswerKind.NUMBERS, 0
        unknown = ~np.isfinite(truth) & _is_valid(part.truth)
    else:
        truth = _classes(part.truth, names).astype(np.float64)
        side = Side(numbers, numbers.astype(np.int64), probability_matrix(part.predictions["probability"]))
        kind = AnswerKind.TWO_CLASSES if len(names) == 2 else AnswerKind.SEVERAL_CLASSES
        positive_class = names.index(positive) if positive in names else min(1, len(names) - 1)
        unknown = (truth == UNKNOWN) & _is_valid(part.truth)
    made = Answers(
        kind=kind,
        classes=names or (),
        positive=positive_class,
        recorded=side,
        candidate=side,
        truth=truth,
        hour=None,
    )
    return VersionAnswers(made, unknown)


def _classes(truth: pa.Array, names: tuple[str, ...]) -> Ints:
    """Return the number of each label's class, :data:`UNKNOWN` for another text or none."""
    encoded = truth.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    same = matched(texts, names)
    # One look-up for each distinct label; the last is for those that have none.
    codes = np.array([names.index(same[text]) if same[text] in names else UNKNOWN for text in texts] + [UNKNOWN])
    numbers: Ints = codes[encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]
    return numbers


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else float("nan")
    except ValueError:
        return float("nan")


def _is_valid(texts: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), np.float64)
