"""The losses of both versions on labelled events: log loss where both give probabilities, else the error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.backtest.answers import AnswerKind, Answers
from streaming.backtest.classes import Used
from streaming.judging.pairs import CANDIDATE_SIDE, CHAMPION_SIDE, side_of
from streaming.quality.answers import classes_of, names_of, version_answers
from streaming.quality.labels import LabelledPredictions, attach
from streaming.rollout.days import SMALLEST_PROBABILITY
from streaming.statistics.arrays import Floats, Ints

_SIDES = (CHAMPION_SIDE, CANDIDATE_SIDE)


@dataclass(frozen=True)
class PairLosses:
    """The losses of labelled events, and the weight epochs in which they were answered; arrays of one length."""

    champion: Floats
    candidate: Floats
    epoch: Ints


@dataclass
class ClassMeanings:
    """What the class numbers of each version mean, as far as they were seen; versions whose predictions are numbers.

    A part of the events may lack a class, so the parts are united.
    """

    classes: dict[int, Used] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How much is known; it grows with every class that is seen for the first time."""
        return len(self.numbers) + sum(len(uses.names) + uses.width + uses.named for uses in self.classes.values())

    def learn(self, version: int, part: LabelledPredictions) -> None:
        """Take more of a version's predictions."""
        seen = classes_of(part)
        if seen is None:
            self.numbers.add(version)
            return
        before = self.classes.get(version, seen)
        self.classes[version] = Used(
            {**before.names, **seen.names}, max(before.width, seen.width), before.named or seen.named
        )

    def names(self, truths: Iterable[str]) -> dict[int, tuple[str, ...]]:
        """Return the classes' names of each version that has classes."""
        # All versions have the same classes, and a version without probabilities does not say how many.
        width = max((uses.width for uses in self.classes.values()), default=0)
        known_classes = {v: replace(uses, width=width) for v, uses in self.classes.items() if v not in self.numbers}
        return names_of(known_classes, truths)


def pair_losses(pairs: pa.Table, labels: Iterable[pa.Table], before: datetime, meanings: ClassMeanings) -> PairLosses:
    """Return the losses of the events that have a label which both versions know.

    Args:
        pairs: of :data:`streaming.judging.pairs.PAIRS`, each once.
        labels: of :data:`streaming.quality.tables.LABELS`.
        before: labels that became known then or later are not used.
        meanings: of the class numbers; what these pairs show is added.
    """
    pairs = _comparable(pairs)
    labelled = attach(side_of(pairs, CHAMPION_SIDE), labels, before)
    champions = np.asarray(pairs["champion_version"].to_numpy(), np.int64)
    parts = [_of_version(pairs, labelled, champions == version, meanings) for version in np.unique(champions)]
    nothing = PairLosses(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    return PairLosses(
        *(np.concatenate([getattr(part, name) for part in (nothing, *parts)]) for name in PairLosses.__annotations__)
    )


def _comparable(pairs: pa.Table) -> pa.Table:
    """Leave out events on which a version gave no probabilities though both give them elsewhere."""
    columns = [pairs[f"{side}_probability"] for side in _SIDES]
    if any(column.null_count == len(column) for column in columns):
        return pairs
    return pairs.filter(pc.and_(*(column.is_valid() for column in columns)))


def _of_version(
    pairs: pa.Table, labelled: LabelledPredictions, rows: npt.NDArray[np.bool_], meanings: ClassMeanings
) -> PairLosses:
    """Return the losses of the pairs of one champion, as the numbers of classes are each version's own."""
    part, chosen = pairs.filter(pa.array(rows)), labelled.only(rows)
    versions = {side: part[f"{side}_version"][0].as_py() for side in _SIDES}
    sides = {side: replace(chosen, predictions=side_of(part, side)) for side in _SIDES}
    for side in _SIDES:
        meanings.learn(versions[side], sides[side])
    names = meanings.names([text for text in pc.unique(chosen.truth).to_pylist() if text is not None])
    both = [version_answers(sides[side], names.get(versions[side]), None) for side in _SIDES]
    usable = both[0].labelled & both[1].labelled
    champion, candidate = (answered.answers.only(usable) for answered in both)
    has_scores = all(answers.recorded.probability is not None for answers in (champion, candidate))
    epoch = np.asarray(part["epoch"].to_numpy(), np.int64)[usable]
    return PairLosses(losses_of(champion, has_scores), losses_of(candidate, has_scores), epoch)


def losses_of(answers: Answers, has_scores: bool) -> Floats:
    """Return the loss of each event, all of which have a label: the absolute error of numbers, the log loss of classes.

    Without probabilities, or where those of other versions are not there, the loss of classes is the error.
    """
    side = answers.recorded
    if answers.kind is AnswerKind.NUMBERS:
        return np.asarray(np.abs(side.number - answers.truth), np.float64)
    truth = answers.truth.astype(np.int64)
    if not has_scores or side.probability is None:
        return np.asarray(side.predicted != truth, np.float64)
    chance = side.probability[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.clip(chance, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)), np.float64)
