"""How long both versions of a rollout took in each batch, counted from the plans and outcomes of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streaming.delivery.outcome import summed
from streaming.rollout.history import Rollout
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.latency import StepTimes
from streaming.scoring_time import ScoringTime


class LatestTimes:
    """The times of the latest rollout, whichever that is; takes an application's records in order.

    Its memory is some numbers a step, and the names of plans whose outcome is still to come.
    """

    def __init__(self) -> None:
        self._name = ""
        self._planned: dict[str, int] = {}
        self._steps: dict[int, StepTimes] = {}

    def add(self, record: Mapping[str, Any], latest: Rollout | None) -> None:
        """Take the next record, and the latest rollout after it; what is not about its batches is passed over."""
        if latest is None:
            return
        declaration = latest.declaration
        if declaration.name != self._name:
            self._name, self._planned, self._steps = declaration.name, {}, {}
        if record["type"] == "plan" and record.get("rollout") == self._name and "weight_epoch" in record:
            self._planned[record["plan"]] = record["weight_epoch"]
        if record["type"] == "outcome" and (epoch := self._planned.pop(record["plan"], None)) is not None:
            both = _times(record["partitions"].values())
            # An outcome of an earlier release has none, nor has one of versions that Spark has scored.
            if both.keys() >= {CHAMPION, CANDIDATE}:
                tolerated = declaration.plan.rules.tolerated_slowdown
                before = self._steps.get(epoch, StepTimes())
                self._steps[epoch] = before.with_batch(both[CHAMPION], both[CANDIDATE], tolerated)

    def steps(self) -> tuple[StepTimes, ...]:
        """Return the steps in their order, those without a batch left out."""
        return tuple(self._steps[epoch] for epoch in sorted(self._steps) if self._steps[epoch].batches)


def _times(partitions: Iterable[Mapping[str, Any]]) -> dict[str, ScoringTime]:
    """Return each role's time in a batch."""
    total: dict[str, ScoringTime] = {}
    for part in partitions:
        total = summed(total, {role: ScoringTime(**fields) for role, fields in part.get("times", {}).items()})
    return total
