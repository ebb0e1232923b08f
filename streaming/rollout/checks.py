"""What a rollout's judge looks at, and which share of the chance of a false alarm each check has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from streaming.errors import ConfigurationError
from streaming.rollout.drift import TOLERATED as TOLERATED_DRIFT
from streaming.rollout.judge import HarmRules
from streaming.rollout.latency import TOLERATED


class RolloutCheck(str, Enum):
    """One check of the judge."""

    ERRORS = "errors"
    """Events that both versions were given and one alone could not score, once a key."""
    DEAD_LETTERS = "dead letters"
    """Dead letters of either arm's keys, once a key."""
    GROSS_HARM = "gross harm"
    """The losses on labelled events that both versions scored, with a margin."""
    DAYS = "days"
    """The losses of whole days whose labels are all due."""
    SCORE_SHIFT = "score shift"
    """The candidate's scores against the champion's on the same events, and against what was expected of them."""
    LATENCY = "latency"
    """The candidate's time for an event against the champion's, in the same batches."""
    DRIFT = "drift"
    """How far the candidate's events are from its training, against the champion's. It holds and never rolls back."""


ALPHA: Mapping[RolloutCheck, float] = {
    RolloutCheck.ERRORS: 0.0015,
    RolloutCheck.DEAD_LETTERS: 0.0015,
    RolloutCheck.GROSS_HARM: 0.002,
    RolloutCheck.DAYS: 0.0035,
    RolloutCheck.SCORE_SHIFT: 0.001,
    RolloutCheck.LATENCY: 0.0005,
}
"""The chance that a check ever rolls back a candidate which is as good as the champion: 0.01 in all, a rollout.

A check that is not among them never rolls back.
"""


@dataclass(frozen=True)
class JudgeRules:
    """How a rollout is judged.

    Attributes:
        dry_run: the names of checks whose findings are recorded and shown, and do nothing. The record of a newer
            version may name checks that this one lacks.
        day_deviation: the standard deviation between days of the mean difference of the losses, as a backtest measured
            it; 0 where it is not known.
        tolerated: the difference of the losses below which a candidate is no worse.
        expected_shift: of the candidate's scores against the champion's; ``None`` to learn it from the steps without a
            share.
        tolerated_shift: the distance from the expected shift which is no harm.
        tolerated_slowdown: how many times as long as the champion a candidate may take for an event.
        tolerated_drift: how much further from its training than the champion's a candidate's events may be, as
            distances of :mod:`streaming.rollout.drift`.

    Raises:
        ConfigurationError: a number is negative, a shift is expected exactly, or a candidate is to be faster.
    """

    dry_run: frozenset[str] = frozenset()
    day_deviation: float = 0.0
    tolerated: float = 0.0
    expected_shift: float | None = None
    tolerated_shift: float = 0.0
    tolerated_slowdown: float = TOLERATED
    tolerated_drift: float = TOLERATED_DRIFT

    def __post_init__(self) -> None:
        """Refuse numbers for which there is no test."""
        if not (self.day_deviation >= 0 and self.tolerated >= 0):
            raise ConfigurationError(
                f"a rollout's judge needs a day_deviation and a tolerated difference of at least 0, not"
                f" {self.day_deviation} and {self.tolerated}"
            )
        if not self.tolerated_shift >= 0:
            raise ConfigurationError(f"a rollout's tolerated_shift is at least 0, not {self.tolerated_shift}")
        if self.expected_shift is not None and self.tolerated_shift == 0:
            raise ConfigurationError(
                f"a rollout that expects a shift of {self.expected_shift} needs a tolerated_shift above 0, as no shift"
                " is exactly what is expected"
            )
        if not 1 <= self.tolerated_slowdown < math.inf:
            raise ConfigurationError(
                f"a rollout's tolerated_slowdown is at least 1, as long as the champion, not {self.tolerated_slowdown}"
            )
        if not 0 <= self.tolerated_drift < math.inf:
            raise ConfigurationError(f"a rollout's tolerated_drift is at least 0, not {self.tolerated_drift}")

    @property
    def days(self) -> HarmRules:
        """How whole days are judged."""
        return HarmRules(alpha=ALPHA[RolloutCheck.DAYS], tolerated=self.tolerated, deviation=self.day_deviation)
