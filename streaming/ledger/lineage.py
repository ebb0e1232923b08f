"""What the ledger says of one input offset: which plan's transaction wrote its output, and how sure that is.

The records are taken in the order of the log, so nothing of a long ledger is kept but what bears on the offset.

An outcome, and the mark that stands now, name the plan for the offsets they speak of. Where a crash took the outcome,
the plans that cover the offset remain: one of them wrote it, the latest unless more is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from streaming.delivery.marks import Mark
from streaming.ledger.plan import MODELS_RECORD, Plan
from streaming.offsets import OffsetRange

Record = Mapping[str, Any]
"""One record of the ledger, as its JSON reads."""


@dataclass(frozen=True)
class Position:
    """A record of the input. An empty ``topic_id`` stands for the latest topic of that name in the ledger."""

    topic: str
    topic_id: str
    partition: int
    offset: int


class Fate(str, Enum):
    """What became of an offset."""

    WRITTEN = "written"
    SKIPPED = "skipped"
    """Lost by the topic before it was scored, and passed over by an operator's word."""
    PENDING = "pending"
    BEFORE_START = "before_start"
    FORGOTTEN = "forgotten"
    """The ledger's records of it are gone (``output.ledger_retention_ms``)."""


class Certainty(str, Enum):
    """How the plan is known."""

    RECORDED = "recorded"
    """An outcome or the mark names it."""
    PLANNED = "planned"
    """The outcome was lost; it is the latest plan that can have written the offset."""


@dataclass(frozen=True)
class Lineage:
    """The answer about one offset. ``plan`` is there if the fate is ``WRITTEN``.

    ``segment`` is what the plan wrote around the offset, ``recorded_at`` when the outcome was recorded (RFC 3339),
    ``epoch`` whose lease that was; all three only where an outcome names the plan. ``others`` are further plans that
    may have written the offset instead. ``since`` is the time of the ledger's oldest record, ``start`` the first offset
    that was ever to be scored.
    """

    fate: Fate
    plan: Plan | None = None
    certainty: Certainty | None = None
    others: tuple[Plan, ...] = ()
    segment: OffsetRange | None = None
    recorded_at: str = ""
    epoch: int = 0
    skip: Record | None = None
    since: str = ""
    start: int | None = None


@dataclass(frozen=True)
class _Segment:
    plan: str
    part: OffsetRange
    at: str = ""
    epoch: int = 0


class OffsetLookup:
    """Takes one application's records, oldest first, then answers."""

    def __init__(self, position: Position) -> None:
        self._position = position
        self._takes_latest = not position.topic_id
        self._since = ""
        self._epoch = 0
        self._table: Record | None = None
        self._forget()

    def _forget(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._segment: _Segment | None = None
        self._above: set[str] = set()
        self._skip: Record | None = None
        self._start: int | None = None
        self._reached = False
        self._passed = False

    def add(self, record: Record) -> None:
        """Take the next record."""
        self._since = self._since or str(record.get("at", ""))
        kind = record["type"]
        if kind == "lease":
            self._epoch = int(record["epoch"])
        elif kind == MODELS_RECORD:
            self._table = record
        elif kind == "plan":
            self._add_plan(record)
        elif kind == "outcome":
            self._add_outcome(record)
        elif kind == "skip":
            self._add_skip(record)
        elif kind == "start":
            self._add_start(record)

    def _ours(self, topic: str, topic_id: str) -> bool:
        """Return whether the record is about our topic. A topic that was made anew begins with an empty history."""
        if self._takes_latest and topic == self._position.topic and topic_id != self._position.topic_id:
            self._forget()
            self._position = replace(self._position, topic_id=topic_id)
        return (topic, topic_id) == (self._position.topic, self._position.topic_id)

    def _add_plan(self, record: Record) -> None:
        part = record["ranges"].get(str(self._position.partition))
        if part is None or not self._ours(record["topic"], record["topic_id"]):
            return
        start, end = part
        if end <= self._position.offset:
            self._reached = True  # what was planned before this cannot have written the offset
        elif start <= self._position.offset:
            plan = Plan.from_dict(record)
            # A plan's table is the latest that was written, unless a batch is tried again long after it.
            self._plans[record["plan"]] = replace(plan, arms=plan.arms.with_models(self._table))
        else:
            self._passed = True

    def _add_outcome(self, record: Record) -> None:
        partition = record["partitions"].get(str(self._position.partition))
        if partition is None or record["plan"] not in self._plans:
            return
        for plan, start, end in partition["segments"]:
            self._add_segment(_Segment(plan, OffsetRange(start, end), record["at"], self._epoch))

    def _add_segment(self, segment: _Segment) -> None:
        if segment.part.start > self._position.offset:
            self._above.add(segment.plan)
        elif self._position.offset < segment.part.end:
            self._segment = self._segment or segment

    def _add_skip(self, record: Record) -> None:
        gap = record["gaps"].get(str(self._position.partition))
        if gap and self._ours(record["topic"], record["topic_id"]) and gap[0] <= self._position.offset < gap[1]:
            self._skip = record

    def _add_start(self, record: Record) -> None:
        start = record["starts"].get(str(self._position.partition))
        # A mark that was restored stands where the work had got to, not where it began.
        if start is not None and not record.get("restored") and self._ours(record["topic"], record["topic_id"]):
            self._start = start

    def answer(self, mark: Mark | None, complete: bool) -> Lineage:
        """Say what became of the offset.

        Args:
            mark: the partition's committed mark as it stands; ``None`` where there is none.
            complete: whether the ledger still has its first record.
        """
        written_to = 0
        if mark is not None and mark.topic_id == self._position.topic_id:
            written_to = mark.offset
            if mark.since >= 0 and mark.plan in self._plans:
                self._add_segment(_Segment(mark.plan, OffsetRange(mark.since, mark.offset)))
        if self._segment is not None:
            return self._recorded(self._segment)
        if self._skip is not None:
            return self._lineage(Fate.SKIPPED)
        if self._start is not None and self._position.offset < self._start:
            return self._lineage(Fate.BEFORE_START)
        if self._position.offset >= written_to and not self._passed:
            return self._lineage(Fate.PENDING)
        return self._planned(complete or self._reached)

    def _recorded(self, segment: _Segment) -> Lineage:
        plan = self._plans.get(segment.plan)
        if plan is None:
            return self._lineage(Fate.FORGOTTEN)
        lineage = self._lineage(Fate.WRITTEN, plan, Certainty.RECORDED)
        return replace(lineage, segment=segment.part, recorded_at=segment.at, epoch=segment.epoch)

    def _planned(self, complete: bool) -> Lineage:
        """Answer by the plans alone, where no outcome names the offset.

        A plan whose output begins above the offset found it written already, so an earlier plan wrote it.
        """
        able = []
        for plan in self._plans.values():
            if plan.id in self._above:
                break
            able.append(plan)
        if not able or not complete:
            return self._lineage(Fate.BEFORE_START if complete and not self._plans else Fate.FORGOTTEN)
        return replace(self._lineage(Fate.WRITTEN, able[-1], Certainty.PLANNED), others=tuple(able[:-1]))

    def _lineage(self, fate: Fate, plan: Plan | None = None, certainty: Certainty | None = None) -> Lineage:
        return Lineage(fate, plan, certainty, skip=self._skip, since=self._since, start=self._start)
