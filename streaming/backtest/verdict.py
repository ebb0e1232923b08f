"""The answer in words: better, worse, or not told by this data. One metric decides; the others may object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from streaming.backtest.coverage import ABSENT, PREDICTED, REFUSED, Coverage
from streaming.backtest.intervals import Measured
from streaming.backtest.options import Options
from streaming.errors import ConfigurationError

FEWEST = 30
"""Labelled events that the rarest class must have before anything is said."""


class Word(str, Enum):
    """The answer in a word."""

    BETTER = "better"
    WORSE = "worse"
    NOT_TOLD = "not told"
    SAME = "same"


@dataclass(frozen=True)
class Verdict:
    """``metric`` is the name of the one that decided, empty where none did. ``but`` says what else to weigh."""

    word: Word
    metric: str
    sentence: str
    but: tuple[str, ...]


def decide(metrics: Sequence[Measured], options: Options, coverage: Coverage, fewest: int) -> Verdict:
    """Judge the candidate.

    Args:
        metrics: by the labels; none without labels.
        options: which metric decides, and the intervals' confidence.
        coverage: what was compared.
        fewest: labelled events of the rarest class.

    Raises:
        ConfigurationError: there is no metric of the wanted name.
    """
    deciding = _deciding(metrics, options.metric)
    missed = _missed(coverage)
    if coverage.identical == coverage.both:
        return Verdict(Word.SAME, "", "On every compared event both sides say exactly the same.", missed)
    if deciding is None:
        words = "Without labels nobody can say which side is right. This report shows how much they differ."
        return Verdict(Word.NOT_TOLD, "", words, missed)
    name = deciding.metric.name
    if fewest < FEWEST:
        words = f"The rarest class has {fewest} labelled events; fewer than {FEWEST} tell nothing reliable."
        return Verdict(Word.NOT_TOLD, name, words, missed)
    word, sentence = _judged(deciding, options.confidence)
    return Verdict(word, name, sentence, (*_objections(word, deciding, metrics), *missed))


def _deciding(metrics: Sequence[Measured], wanted: str) -> Measured | None:
    if not wanted or not metrics:
        return metrics[0] if metrics else None
    for found in metrics:
        if found.metric.name == wanted:
            return found
    names = ", ".join(found.metric.name for found in metrics)
    raise ConfigurationError(f"no metric {wanted!r} can be had here; choose one of {names}")


def _judged(found: Measured, confidence: float) -> tuple[Word, str]:
    gain = found.gain
    if gain.value != gain.value:
        return Word.NOT_TOLD, f"{found.metric.title} is not defined on these labels."
    values = f"{found.metric.title} went from {found.recorded.value:.4f} to {found.candidate.value:.4f}"
    ends = f"with {confidence:.0%} confidence the difference is between {_ends(found)}"
    if gain.low > 0:
        return Word.BETTER, f"{values}, and {ends}: on the better side of zero."
    if gain.high < 0:
        return Word.WORSE, f"{values}, and {ends}: on the worse side of zero."
    return Word.NOT_TOLD, f"{values}, but {ends}: zero is among it, so this may be chance."


def _objections(word: Word, deciding: Measured, metrics: Sequence[Measured]) -> tuple[str, ...]:
    said = []
    for found in metrics:
        if found is not deciding and found.gain.high < 0 and word is not Word.WORSE:
            said.append(f"{found.metric.title} is worse, by a difference between {_ends(found)}.")
        if found is not deciding and found.gain.low > 0 and word is not Word.BETTER:
            said.append(f"{found.metric.title} is better, by a difference between {_ends(found)}.")
    return tuple(said)


def _ends(found: Measured) -> str:
    return f"{found.difference.low:+.4f} and {found.difference.high:+.4f}"


def _missed(coverage: Coverage) -> tuple[str, ...]:
    said = []
    if refused := coverage.count(PREDICTED, REFUSED):
        said.append(f"The candidate refuses {refused:,} of the events that were predicted.")
    if silent := coverage.count(PREDICTED, ABSENT):
        said.append(f"The candidate says nothing of {silent:,} of the events that were predicted.")
    if gained := coverage.count(REFUSED, PREDICTED):
        said.append(f"The candidate predicts {gained:,} events that had been refused.")
    return tuple(said)
