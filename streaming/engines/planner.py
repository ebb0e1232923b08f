"""Plans as both engines make them: numbered under the lease's epoch, of one writer's source."""

from __future__ import annotations

import itertools

from streaming.clock import Clock, isoformat
from streaming.delivery.marks import Writer
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import Plan
from streaming.offsets import Ranges


class Planner:
    """Makes the plans of one driver that holds the lease; their ids begin with its epoch."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._numbers = itertools.count(1)

    def plan(self, checkpoint: str, batch: int, ranges: Ranges, arms: PlannedArms, reason: str = "") -> Plan:
        """Return a new plan, not recorded yet."""
        number = f"{self._writer.epoch}.{next(self._numbers)}"
        return Plan(
            id=number,
            application=self._writer.application,
            topic=self._writer.topic,
            topic_id=self._writer.topic_id,
            checkpoint=checkpoint,
            batch=batch,
            ranges=ranges,
            arms=arms,
            at=isoformat(self._clock()),
            reason=reason,
        )
