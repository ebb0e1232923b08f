"""How many labelled events or days a comparison of two versions needs, before it begins.

The loss is the error: 1 where a prediction is wrong, 0 where it is right. The candidate's error rate is assumed to be
above the champion's by the difference that is to be found. Where both versions score the same events, only those on
which one of them is right and the other wrong say something, so few are enough. Where each has events of its own, all
that differs between the events is in the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from streaming.errors import ConfigurationError
from streaming.rollout.judge import FEWEST_DAYS
from streaming.statistics.sequential import few_units_width, one_sided_width, units_needed
from streaming.statistics.tails import normal_critical


@dataclass(frozen=True)
class Question:
    """What is to be found, and how surely.

    Attributes:
        error_rate: the champion's share of wrong predictions.
        worse_by: by how much the candidate's is above it.
        disagree: the share of events on which exactly one of the two is wrong.
        share: the candidate's share of the events, where each version has its own.
        alpha: the chance that an equal candidate is called worse.
        power: the chance that one which is worse by ``worse_by`` is called so.

    Raises:
        ConfigurationError: the numbers contradict each other, or are no shares.
    """

    error_rate: float
    worse_by: float
    disagree: float
    share: float = 0.05
    alpha: float = 0.01
    power: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        shares = {"error rate": self.error_rate, "difference": self.worse_by, "share": self.share, "power": self.power}
        for name, value in shares.items():
            if not 0 < value < 1:
                raise ConfigurationError(f"the {name} must be between 0 and 1, not {value:g}")
        if not 0 < self.alpha < 0.5:
            raise ConfigurationError(f"alpha must be between 0 and 0.5, not {self.alpha:g}")
        champion, candidate = self.error_rate, self.error_rate + self.worse_by
        if candidate > 1:
            raise ConfigurationError(f"an error rate of {champion:g} that rises by {self.worse_by:g} would be above 1")
        # From all errors in common to as few as there can be.
        least, most = self.worse_by, min(champion + candidate, 2 - champion - candidate)
        if not least <= self.disagree <= most:
            raise ConfigurationError(
                f"versions whose error rates are {champion:g} and {candidate:g} disagree on a share of at least"
                f" {least:g} and at most {most:g}, not {self.disagree:g}"
            )

    @property
    def paired_variance(self) -> float:
        """The variance of the difference on one event that both versions score."""
        return self.disagree - self.worse_by**2

    @property
    def unpaired_variance(self) -> float:
        """The variance of the difference of the arms' error rates, times the number of all events."""
        candidate = self.error_rate + self.worse_by
        champion_own = self.error_rate * (1 - self.error_rate) / (1 - self.share)
        return candidate * (1 - candidate) / self.share + champion_own


@dataclass(frozen=True)
class Sizes:
    """Labelled events: for a test that is made once at the end, and for one that may be looked at after every event."""

    once: int
    always: int


def sizes(variance: float, question: Question) -> Sizes:
    """Return the numbers of events that answer the question.

    The test at the end is that of a mean with known variance. The other is the one-sided asymptotic confidence sequence
    of :mod:`streaming.statistics.sequential`; its size is that at which the bound is passed with the power asked for,
    whatever was seen before, so it is on the safe side.

    Args:
        variance: of the difference, for one event.
        question: what is to be found.

    Raises:
        OverflowError: the difference is so small that no number of events finds it.
    """
    kappa = variance / question.worse_by**2
    reach = normal_critical(2 * (1 - question.power))
    once = kappa * (normal_critical(2 * question.alpha) + reach) ** 2
    always = units_needed(lambda units: kappa * (one_sided_width(units, question.alpha, units) + reach) ** 2)
    return Sizes(math.ceil(once), math.ceil(always))


def days_needed(variance: float, question: Question, events_per_day: float, deviation: float) -> int:
    """Return after how many days a judge that looks at each day's mean finds the difference.

    Args:
        variance: of the difference, for one event.
        question: what is to be found.
        events_per_day: labelled events.
        deviation: the standard deviation between the days' true differences, which a backtest measures.

    Raises:
        ConfigurationError: no events come, or the deviation is below 0 or infinite.
        OverflowError: no number of days finds the difference.
    """
    if not (events_per_day > 0 and 0 <= deviation < math.inf):
        raise ConfigurationError(
            f"days need events, and a deviation of at least 0: {events_per_day:g} a day and {deviation:g} were given"
        )
    spread = math.sqrt(variance / events_per_day + deviation**2)
    return days_to_find(question.worse_by, spread, question.alpha, question.power)


def days_to_find(worse_by: float, deviation: float, alpha: float, power: float) -> int:
    """Return after how many days a judge that looks at each day's mean finds a difference.

    Args:
        worse_by: the difference, above 0, in units of the loss.
        deviation: the standard deviation of a day's difference, whatever it comes from.
        alpha: the chance that an equal candidate is called worse.
        power: the chance that one which is worse by ``worse_by`` is called so.
    """
    kappa = (deviation / worse_by) ** 2
    reach = normal_critical(2 * (1 - power))

    def needed(days: float) -> float:
        width = few_units_width(one_sided_width(days, alpha, days), math.floor(days))
        return float(kappa * (width + reach) ** 2)

    return math.ceil(units_needed(needed, FEWEST_DAYS))
