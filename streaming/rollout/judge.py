"""The judgement of a candidate by the differences of whole days: harm, no worse, or not told.

The test may be repeated after each day, and stopped at any. It takes days as independent draws, each of them once
whatever its number of events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from streaming.errors import ConfigurationError
from streaming.rollout.days import DaySums
from streaming.statistics.sequential import few_units_width, one_sided_width

FEWEST_DAYS = 10
"""Fewer days are never judged: with five, extreme candidates gave four to five times the false alarms asked for."""


class HarmFinding(str, Enum):
    """What the days say of the candidate."""

    HARM = "harm"
    NO_WORSE = "no worse"
    NOT_TOLD = "not told"


@dataclass(frozen=True)
class HarmRules:
    """The rules by which days are judged.

    Attributes:
        alpha: the chance that an equal candidate is ever found harmful, and the chance that one which is worse by
            ``tolerated`` is ever found no worse.
        tolerated: the difference, in units of the loss, below which a candidate is no worse.
        deviation: the standard deviation between days that the backtest measured. The rollout's days are never
            taken to differ less, or a start with days that happen to be alike would end it; 0 where it is not known.
        expected_days: after how many days a decision is expected.

    Raises:
        ConfigurationError: alpha is not between 0 and 0.5, another number is negative, or no day is expected.
    """

    alpha: float = 0.004
    tolerated: float = 0.0
    deviation: float = 0.0
    expected_days: int = 20

    def __post_init__(self) -> None:
        """Refuse numbers for which there is no test."""
        if not 0 < self.alpha < 0.5:
            raise ConfigurationError(f"the alpha of a rollout's judge is above 0 and below 0.5, not {self.alpha}")
        if not (self.tolerated >= 0 and self.deviation >= 0 and self.expected_days >= 1):
            raise ConfigurationError(
                f"the rollout's judge needs a tolerated difference and a deviation of at least 0 and at least one"
                f" expected day, not {self.tolerated}, {self.deviation} and {self.expected_days}"
            )


@dataclass(frozen=True)
class QualityVerdict:
    """``difference`` is that of the mean day (NaN without days), ``low`` and ``high`` its bounds."""

    finding: HarmFinding
    days: int
    difference: float
    low: float
    high: float
    sentence: str


def judge(days: DaySums, rules: HarmRules) -> QualityVerdict:
    """Judge the candidate by its days, all of which must be over with all labels due (:meth:`DaySums.before`)."""
    count = len(days.day)
    if count < FEWEST_DAYS:
        sentence = f"not told: {count} of {FEWEST_DAYS} days"
        return QualityVerdict(
            finding=HarmFinding.NOT_TOLD,
            days=count,
            difference=_mean(days),
            low=-math.inf,
            high=math.inf,
            sentence=sentence,
        )
    difference, half = _mean(days), _half_width(days, rules)
    low, high = difference - half, difference + half
    finding = HarmFinding.HARM if low > 0 else HarmFinding.NO_WORSE if high < rules.tolerated else HarmFinding.NOT_TOLD
    return QualityVerdict(
        finding=finding,
        days=count,
        difference=difference,
        low=low,
        high=high,
        sentence=_sentence(finding, count, (low, high)),
    )


def _mean(days: DaySums) -> float:
    return math.fsum(days.means.tolist()) / len(days.day) if len(days.day) else math.nan


def _half_width(days: DaySums, rules: HarmRules) -> float:
    count = len(days.day)
    deviation = max(float(np.std(days.means, ddof=1)), rules.deviation)
    width = few_units_width(one_sided_width(count, rules.alpha, rules.expected_days), count)
    return width * deviation / math.sqrt(count)


def _sentence(finding: HarmFinding, count: int, bounds: tuple[float, float]) -> str:
    low, high = bounds
    if finding is HarmFinding.HARM:
        return (
            f"harm: over {count} days the candidate's loss is above the champion's by at least {low:.4g} on a mean day"
        )
    if finding is HarmFinding.NO_WORSE:
        return f"no worse: over {count} days the candidate's loss is above the champion's by at most {high:.4g}"
    return f"not told: after {count} days the difference of the losses is between {low:.4g} and {high:.4g}"
