"""The state of a rollout, with the reason why it does not go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from streaming.rollout.plan import RolloutPlan, RolloutStep


class RolloutPhase(str, Enum):
    """``STEP`` with a share of 0 is the shadow. What ends in -ING waits until the running job has done it."""

    PLANNED = "planned"
    STEP = "step"
    PROMOTING = "promoting"
    PROBATION = "probation"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    ABORTING = "aborting"
    ABORTED = "aborted"


TAKEN_BACK = {RolloutPhase.ROLLED_BACK, RolloutPhase.ABORTED}
FINISHED = {RolloutPhase.PROMOTED, *TAKEN_BACK}
JUDGED = {RolloutPhase.STEP, RolloutPhase.PROMOTING, RolloutPhase.PROBATION}
"""The phases in which the candidate scores events, so that it can do harm."""
TAKING_BACK = {RolloutPhase.ROLLING_BACK, RolloutPhase.ABORTING}
"""The phases in which the candidate has no keys any more, and the job gives back what it has changed."""
_ALL_KEYS = {RolloutPhase.PROMOTING, RolloutPhase.PROBATION, RolloutPhase.PROMOTED}


class RolloutTime(NamedTuple):
    """A moment by the clock, and how far the events' own time had come."""

    clock: datetime
    event_time: datetime

    def passed_since(self, earlier: RolloutTime) -> timedelta:
        """Return what has passed by both.

        A job that catches up runs through hours of events in minutes, and one that idles through none in hours.
        """
        return min(self.clock - earlier.clock, self.event_time - earlier.event_time)


@dataclass(frozen=True)
class RolloutState:
    """The state of a rollout.

    Attributes:
        phase: what it does.
        step: which of the plan's steps, from 0.
        since: when it came to this phase and step.
        why: why it came here, or why it does not go on: never empty.
        paused: whether somebody has paused it.
        at_gate: whether it only waits for somebody to resume it.
    """

    phase: RolloutPhase
    step: int
    since: RolloutTime
    why: str
    paused: bool = False
    at_gate: bool = False

    def share(self, plan: RolloutPlan) -> float:
        """Return the candidate's share of the keys: 0 as soon as it is aborted or rolled back."""
        if self.phase is RolloutPhase.STEP:
            return plan.steps[self.step].share
        return 1.0 if self.phase in _ALL_KEYS else 0.0

    def asks(self, plan: RolloutPlan) -> RolloutStep | None:
        """Return the step, or the probation, whose evidence it waits for; ``None`` where it waits for none."""
        if self.phase is RolloutPhase.STEP:
            return plan.steps[self.step]
        return plan.probation if self.phase is RolloutPhase.PROBATION else None


def planned(now: RolloutTime) -> RolloutState:
    """Return the state of a rollout that was declared and not yet started."""
    return RolloutState(RolloutPhase.PLANNED, 0, now, "planned: waits for start")
