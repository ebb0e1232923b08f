"""Histories of one partition under the delivery protocol, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from streaming.delivery.marks import Mark, Writer
from streaming.delivery.outcome import Outcome
from streaming.ledger.arms import PlannedArms
from streaming.ledger.lineage import Lineage, OffsetLookup, Position
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange

FIRST = 5
"""The offset at which the application began."""
MOVES = ("plan", "write", "finish", "record", "crash", "lose_checkpoint", "roll_back", "skip")
AT = "2026-11-21T11:00:00.000Z"


@dataclass
class History:
    """One partition of the delivery protocol, move by move, with a record of who wrote which offset.

    The ledger and the marks are made as the engine and the writer make them; ``truth`` is noted beside them.
    """

    topic_id: str = "id"
    epoch: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    version: int = 1
    checkpoint: int = 0
    batches: int = 0
    number: int = 0
    plan: Plan | None = None
    attempt: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self.mark = Mark.at(FIRST, self.writer)
        self.position = FIRST
        self._open()
        self.log.append(
            {"type": "start", "topic": "features", "topic_id": self.topic_id, "starts": {"0": FIRST}, "at": AT}
        )

    @property
    def writer(self) -> Writer:
        return Writer("app", "features", self.topic_id, self.epoch)

    def move(self, name: str, size: int) -> None:
        getattr(self, f"_{name}")(size)

    def _open(self) -> None:
        self.epoch += 1
        self.number = 0
        self.log.append({"type": "lease", "epoch": self.epoch, "at": AT})

    def _decide(self, part: OffsetRange, reason: str = "") -> None:
        self.number += 1
        arms = PlannedArms.only(ModelVersion("m", self.version))
        where = (str(self.checkpoint), self.batches)
        name = f"{self.epoch}.{self.number}"
        self.plan = Plan(name, "app", "features", self.topic_id, *where, {0: part}, arms, AT, reason=reason)
        self.log.append(self.plan.to_dict())
        self.attempt = Outcome()

    def _plan(self, size: int) -> None:
        if self.plan is None:
            self.version += size % 2
            self._decide(OffsetRange(self.position, self.position + size))

    def _write(self, size: int) -> None:
        """One transaction: from the mark on, ``size`` offsets, as far as the batch goes."""
        plan, mark = self.plan, self.mark
        if plan is None:
            return
        part = plan.ranges[0]
        start, end = max(mark.since, part.start), min(mark.offset, part.end)
        earlier = {mark.plan: (start, end)} if mark.plan and mark.since >= 0 and start < end else {}
        if mark.offset >= part.end:
            self.attempt += Outcome(segments=earlier)
            return
        upto = min(mark.offset + size, part.end)
        since = mark.since if mark.plan == plan.id else mark.offset
        self.attempt += Outcome(segments={**earlier, plan.id: (since, upto)})
        self.truth |= dict.fromkeys(range(mark.offset, upto), plan.id)
        self.mark = Mark.at(upto, self.writer, plan.id, since)

    def _record(self, _: int) -> None:
        """The outcome, if the batch is written to its end; Spark has yet to note that the batch is done."""
        if self.plan is None or self.mark.offset < self.plan.ranges[0].end:
            return
        if not self.attempt.segments:
            self._write(0)
        part = self.plan.ranges[0]
        segments = [[plan, *span] for plan, span in self.attempt.segments.items()]
        partitions = {"0": {"start": part.start, "end": part.end, "segments": segments}}
        self.log.append({"type": "outcome", "plan": self.plan.id, "partitions": partitions, "at": AT})

    def _finish(self, size: int) -> None:
        if self.plan is not None:
            self._write(1_000)
            self._record(size)
            self.position, self.plan, self.batches = self.plan.ranges[0].end, None, self.batches + 1

    def _crash(self, _: int) -> None:
        """The next driver finds the batch in the checkpoint, and its plan in the ledger."""
        self._open()
        self.attempt = Outcome()

    def _lose_checkpoint(self, size: int) -> None:
        self._crash(size)
        self.plan, self.checkpoint, self.batches = None, self.checkpoint + 1, 0
        self.position = self.mark.offset

    def _roll_back(self, size: int) -> None:
        if self.plan is not None:
            self.version += 1
            self._decide(self.plan.ranges[0], reason="it threw")

    def _skip(self, size: int) -> None:
        self._crash(size)
        end = self.mark.offset + size
        self.skipped |= set(range(self.mark.offset, end))
        gaps = {"0": [self.mark.offset, end]}
        self.log.append({"type": "skip", "topic": "features", "topic_id": self.topic_id, "gaps": gaps, "at": AT})
        self.mark = Mark.at(end, self.writer)
        self._lose_checkpoint(size)

    def ask(self, offset: int, forgotten: int = 0) -> Lineage:
        lookup = OffsetLookup(Position("features", "id", 0, offset))
        for record in self.log[forgotten:]:
            lookup.add(record)
        return lookup.answer(self.mark, complete=not forgotten)


STEP = st.tuples(st.sampled_from(MOVES), st.integers(1, 6))
HISTORIES = st.lists(STEP, max_size=40)


def played(moves: list[tuple[str, int]], history: History | None = None) -> History:
    history = history or History()
    for move in moves:
        history.move(*move)
    return history
