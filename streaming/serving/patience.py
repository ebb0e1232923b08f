"""A bound on the time of the champion's answer, after which the next of the fallback chain gives one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from streaming.models.served import ServedModel
from streaming.serving.arms import EventAnswer
from streaming.serving.chain import ServedChain
from streaming.serving.lanes import Lane, Scored


@dataclass(frozen=True)
class NextVersions:
    """The :class:`streaming.serving.lanes.Leases` of what follows the champion."""

    chain: ServedChain

    def current(self) -> ServedModel | None:
        """Return what would answer."""
        return self.chain.following()

    def lease(self) -> AbstractContextManager[ServedModel]:
        """See :meth:`streaming.serving.chain.ServedChain.lease_next`."""
        return self.chain.lease_next()


@dataclass
class PatientLane:
    """Scores events as ``lane`` does; it bounds versions that score beside the event loop, as only these may hang.

    Attributes:
        lane: whose versions the chain gives.
        behind: has a thread of its own, and what follows the champion.
        seconds: from the request to the answer, at most.
    """

    lane: Lane[EventAnswer]
    behind: Lane[EventAnswer]
    chain: ServedChain
    seconds: float
    _counted: float = field(default=float("-inf"))

    async def score(self, values: Sequence[bytes]) -> Scored[EventAnswer]:
        """Return the answers to events; see :meth:`streaming.serving.lanes.Lane.score`."""
        model = self.lane.slot.current()
        if model is None or not self.lane.takes_its_time(model, values) or not self.chain.bounds(model):
            return self._in_time(await self.lane.score(values))
        try:
            return self._in_time(await asyncio.wait_for(self.lane.score(values), self.seconds))
        except asyncio.TimeoutError:
            self._count(model)
        return await self.behind.score(values)

    def _in_time(self, scored: Scored[EventAnswer]) -> Scored[EventAnswer]:
        self.chain.answered_in_time(scored.model)
        return scored

    def _count(self, model: ServedModel) -> None:
        """Count one failure for all requests that wait for the same pass."""
        now = self.lane.clock()
        if now - self._counted >= self.seconds:
            self._counted = now
            self.chain.slow(model)
