"""Which version scores an event that another one has answered: a function of the answer and the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from schemas.shadow_prediction import ShadowRole
from streaming.clock import instant
from streaming.models.ref import ModelKey
from streaming.rollout.assignment import point_of
from streaming.rollout.intervals import POINTS
from streaming.shadow.served import Coordinates, ServedAnswer
from streaming.shadow.steps import StepVersions


class SkipReason(str, Enum):
    """Why an answer of a rollout has no shadow."""

    SHARE = "outside the share"
    LAG = "too old"
    STEP_UNKNOWN = "no transition of its step in the ledger"
    VERSION_REFUSED = "version refused"
    EVENT_GONE = "event gone"
    TOO_LARGE = "record too large"


@dataclass(frozen=True)
class ShadowTask:
    """An event that a version is to score beside the one that answered it."""

    served: ServedAnswer
    version: ModelKey
    role: ShadowRole

    @property
    def coordinates(self) -> Coordinates:
        """The event's position on the input topic."""
        _, partition, offset = self.served.position
        return partition, offset


@dataclass(frozen=True)
class PairingRules:
    """What bounds the cost: the share of the champion's keys, from 0 to 1, and the age of an answer."""

    share: float = 1.0
    max_lag: timedelta | None = None

    def task(self, served: ServedAnswer, versions: StepVersions | None, now: datetime) -> ShadowTask | SkipReason:
        """Return what is to be scored for an answer, or why nothing is.

        Args:
            served: the answer.
            versions: those of its step, as far as the ledger tells.
            now: the time against which its age counts.
        """
        version = None if versions is None else versions.beside(served.version)
        if versions is None or version is None:
            return SkipReason.STEP_UNKNOWN
        if self.max_lag is not None and now - instant(served.fields.scored_at) > self.max_lag:
            return SkipReason.LAG
        if version == versions.candidate:
            is_chosen = self._is_in_share(served, versions.salt)
            return ShadowTask(served, version, ShadowRole.SHADOW) if is_chosen else SkipReason.SHARE
        return ShadowTask(served, version, ShadowRole.REVERSE_SHADOW)

    def _is_in_share(self, served: ServedAnswer, salt: str) -> bool:
        if self.share >= 1:
            return True
        # Another salt than the arms': with the same one, the candidate's own keys could be just the chosen ones.
        return point_of(f"{salt}/shadow", served.key, served.fields.event_id) < self.share * POINTS
