"""Gross harm, found on single events: a candidate so much worse that days need not be waited for.

Events of a day are alike, so single events cannot show that a candidate is a little worse: on recorded flights such a
test raised a false alarm in more than half of all weeks. What they can show is a loss above a margin that is wider than
days differ. The bound is the asymptotic confidence sequence of :mod:`streaming.statistics.sequential`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streaming.errors import ConfigurationError, DataError
from streaming.rollout.judge import HarmFinding
from streaming.statistics.arrays import Floats
from streaming.statistics.sequential import one_sided_width

BLOCK_DEVIATIONS = 3.0
"""The margin covers so many standard deviations between days, as nobody knows which day it happens to be."""


@dataclass(frozen=True)
class LossSums:
    """Events that both versions scored: number, sum and sum of squares of the differences, the champion's loss."""

    events: int = 0
    difference: float = 0.0
    squares: float = 0.0
    champion: float = 0.0

    @classmethod
    def of(cls, champion: Floats, candidate: Floats) -> LossSums:
        """Add up the losses of both versions on the same events.

        Raises:
            DataError: there are not as many of either, or one is not finite.
        """
        if len(champion) != len(candidate):
            raise DataError(f"{len(champion)} losses of the champion came with {len(candidate)} of the candidate")
        difference = candidate - champion
        if not np.isfinite(difference).all():
            raise DataError("a loss is not finite; clip probabilities before taking their logarithm")
        return cls(
            events=len(difference),
            difference=float(difference.sum()),
            squares=float((difference**2).sum()),
            champion=float(champion.sum()),
        )

    def merged(self, other: LossSums) -> LossSums:
        """Return the sums of both parts."""
        return LossSums(
            events=self.events + other.events,
            difference=self.difference + other.difference,
            squares=self.squares + other.squares,
            champion=self.champion + other.champion,
        )


@dataclass(frozen=True)
class GrossRules:
    """The rules by which harm is gross.

    Attributes:
        alpha: the chance that a candidate within the margin is ever found harmful.
        share: the margin as a share of the champion's mean loss.
        block_deviation: the standard deviation of the mean difference between days, as the backtest measured it; the
            margin is at least three of these.
        fewest: events before which nothing is said.
        expected: after how many events a decision is expected.

    Raises:
        ConfigurationError: alpha is not between 0 and 0.5, another number is negative, or no event is expected.
    """

    alpha: float = 0.002
    share: float = 0.1
    block_deviation: float = 0.0
    fewest: int = 100
    expected: int = 500

    def __post_init__(self) -> None:
        """Refuse numbers for which there is no test."""
        if not (0 < self.alpha < 0.5 and self.share >= 0 and self.block_deviation >= 0):
            raise ConfigurationError(
                f"gross harm needs an alpha above 0 and below 0.5 and a margin of at least 0, not {self.alpha},"
                f" {self.share} and {self.block_deviation}"
            )
        if self.fewest < 2 or self.expected < 1:
            raise ConfigurationError(
                f"gross harm needs at least two events, and one that is expected, not {self.fewest} and {self.expected}"
            )

    def margin(self, sums: LossSums) -> float:
        """Return the difference of the losses above which harm is gross."""
        return max(self.share * sums.champion / sums.events, BLOCK_DEVIATIONS * self.block_deviation)


@dataclass(frozen=True)
class GrossVerdict:
    """``difference`` is the mean, ``low`` what it is at least, ``margin`` what ``low`` has to exceed."""

    finding: HarmFinding
    events: int
    difference: float
    low: float
    margin: float
    sentence: str


def judge_gross(sums: LossSums, rules: GrossRules) -> GrossVerdict:
    """Judge the candidate by single events; the verdict is harm or not told, and never that it is no worse."""
    if sums.events < rules.fewest:
        sentence = f"not told: {sums.events:,} of {rules.fewest:,} labelled events"
        return GrossVerdict(
            finding=HarmFinding.NOT_TOLD,
            events=sums.events,
            difference=sums.difference / sums.events if sums.events else math.nan,
            low=-math.inf,
            margin=rules.margin(sums) if sums.events else math.nan,
            sentence=sentence,
        )
    mean = sums.difference / sums.events
    # Rounding can leave a little less than nothing where all differences are equal.
    deviation = math.sqrt(max(sums.squares / sums.events - mean**2, 0.0))
    low = mean - one_sided_width(sums.events, rules.alpha, rules.expected) * deviation / math.sqrt(sums.events)
    margin = rules.margin(sums)
    finding = HarmFinding.HARM if low > margin else HarmFinding.NOT_TOLD
    return GrossVerdict(
        finding=finding,
        events=sums.events,
        difference=mean,
        low=low,
        margin=margin,
        sentence=(
            f"{finding.value}: on {sums.events:,} labelled events the candidate's loss is above the champion's by at"
            f" least {low:.4g}; gross harm begins at {margin:.4g}"
        ),
    )
