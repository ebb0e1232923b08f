"""The verdict: better, worse, or not told by this data. One metric decides; the others may object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from streaming.backtest.bootstrap import Measured
from streaming.backtest.coverage import ABSENT, PREDICTED, REFUSED, Coverage
from streaming.backtest.labelled import Labelled
from streaming.backtest.options import Options

FEWEST = 30
"""Labelled events that the rarest class must have before anything is said."""


class Word(str, Enum):
    """The answer in a word."""

    BETTER = "better"
    WORSE = "worse"
    NOT_TOLD = "not told"
    SAME = "same"


@dataclass(frozen=True)
class ComparisonVerdict:
    """``metric`` is the name of the one that decided, empty where none did. ``but`` says what else to weigh."""

    word: Word
    metric: str
    sentence: str
    but: tuple[str, ...]


def decide(labelled: Labelled | None, options: Options, coverage: Coverage) -> ComparisonVerdict:
    """Judge the candidate by what the labels tell, if there are any, and by what was compared."""
    missed = _missed(coverage)
    if coverage.identical == coverage.both:
        return ComparisonVerdict(
            Word.SAME, "", "Both sides give exactly the same answer to every compared event.", missed
        )
    if labelled is None:
        sentence = "Without labels nobody can say which side is right. This report shows how much they differ."
        return ComparisonVerdict(Word.NOT_TOLD, "", sentence, missed)
    name, metrics = labelled.deciding, labelled.metrics
    # The bootstrap's intervals are too narrow for so few events.
    if labelled.fewest < FEWEST:
        sentence = f"The rarest class has only {labelled.fewest} labelled events. A reliable answer needs {FEWEST}."
        return ComparisonVerdict(Word.NOT_TOLD, name, sentence, missed)
    deciding = next(measured for measured in metrics if measured.metric.name == name)
    word, sentence = _judged(deciding, options.confidence)
    return ComparisonVerdict(word, name, sentence, (*_objections(word, deciding, metrics), *missed))


def _judged(measured: Measured, confidence: float) -> tuple[Word, str]:
    gain = measured.gain
    if gain.value != gain.value:
        return Word.NOT_TOLD, f"{measured.metric.title} is not defined on these labels."
    values = f"{measured.metric.title} went from {measured.recorded.value:.4f} to {measured.candidate.value:.4f}"
    ends = f"with {confidence:.0%} confidence the difference is between {_ends(measured)}"
    if gain.low > 0:
        return Word.BETTER, f"{values}, and {ends}. All of it is on the better side of zero."
    if gain.high < 0:
        return Word.WORSE, f"{values}, and {ends}. All of it is on the worse side of zero."
    return Word.NOT_TOLD, f"{values}, but {ends}. Zero lies within it, so this may be chance."


def _objections(word: Word, deciding: Measured, metrics: Sequence[Measured]) -> tuple[str, ...]:
    sentences = []
    for measured in metrics:
        if measured is not deciding and measured.gain.high < 0 and word is not Word.WORSE:
            sentences.append(f"{measured.metric.title} is worse, by a difference between {_ends(measured)}.")
        if measured is not deciding and measured.gain.low > 0 and word is not Word.BETTER:
            sentences.append(f"{measured.metric.title} is better, by a difference between {_ends(measured)}.")
    return tuple(sentences)


def _ends(measured: Measured) -> str:
    return f"{measured.difference.low:+.4f} and {measured.difference.high:+.4f}"


def _missed(coverage: Coverage) -> tuple[str, ...]:
    sentences = []
    if refused := coverage.count(PREDICTED, REFUSED):
        sentences.append(f"The candidate refuses {refused:,} of the events that were predicted.")
    if silent := coverage.count(PREDICTED, ABSENT):
        sentences.append(f"The candidate has no answer for {silent:,} of the events that were predicted.")
    if gained := coverage.count(REFUSED, PREDICTED):
        sentences.append(f"The candidate predicts {gained:,} events that had been refused.")
    return tuple(sentences)
