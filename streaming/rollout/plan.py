"""What a rollout is declared to do: its steps, and what each asks for before the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from itertools import pairwise

from streaming.errors import ConfigurationError
from streaming.rollout.checks import JudgeRules


class OnNotTold(str, Enum):
    """What follows when a step has all its evidence and its time is over, and the judge still cannot tell."""

    HOLD = "hold"
    PROMOTE = "promote"
    ABORT = "abort"


@dataclass(frozen=True)
class RolloutStep:
    """One step, or the probation.

    Attributes:
        share: the candidate's share of the keys from 0 (shadow) to 1.
        evidence: what is counted to how much of it the step needs: ``{"labelled events": 200}``.
        least: how long it lasts at least, by the clock and in event time.
        most: after how long by the clock ``on_not_told`` counts; without it the step waits for as long as it takes.
        on_not_told: what follows then.
        manual: whether the next step waits for somebody to resume.

    Raises:
        ConfigurationError: a share, an amount or a time that cannot be, or a step that asks for no evidence.
    """

    share: float
    evidence: Mapping[str, int]
    least: timedelta = timedelta(0)
    most: timedelta | None = None
    on_not_told: OnNotTold = OnNotTold.HOLD
    manual: bool = False

    def __post_init__(self) -> None:
        """Refuse a step that could end by absence."""
        if not 0 <= self.share <= 1:
            raise ConfigurationError(f"the share of a rollout's step is from 0 to 1, not {self.share}")
        if not self.evidence or min(self.evidence.values()) < 1:
            raise ConfigurationError(
                f"a rollout's step asks for at least 1 of what it counts, not {dict(self.evidence)}; without evidence"
                " it would end because nothing came"
            )
        if self.least < timedelta(0) or (self.most is not None and self.most < self.least):
            raise ConfigurationError(
                f"a rollout's step lasts from {self.least} to {self.most}; give 0 <= least <= most"
            )


@dataclass(frozen=True)
class RolloutPlan:
    """The steps in their order, the probation that follows when the candidate has all keys, and how it is judged.

    Raises:
        ConfigurationError: there is no step, shares fall, or the probation's share is not 1.
    """

    steps: tuple[RolloutStep, ...]
    probation: RolloutStep = field(kw_only=True)
    rules: JudgeRules = field(default=JudgeRules(), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse steps that would move keys back."""
        shares = [step.share for step in self.steps]
        if not shares or any(later < earlier for earlier, later in pairwise(shares)):
            raise ConfigurationError(f"the shares of a rollout's steps are at least one and never fall, not {shares}")
        if self.probation.share != 1:
            raise ConfigurationError(f"in probation the candidate has all keys, not a share of {self.probation.share}")
