"""Which offsets a rollout's candidate has answered, or the fallback chain, by plans and outcomes.

A plan says what its batch was to answer. Where an outcome names another plan for offsets of it, that one wrote them. An
outcome that a crash took leaves the plan alone, so the ranges are never too small. Only those of the live engine may
be: it plans what it has answered, and what it wrote after its last boundary is in no plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from streaming.ledger.degraded import whole
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelKey
from streaming.offsets import OffsetRange
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.history import Rollout
from streaming.rollout.intervals import CHAMPION
from streaming.rollout.verdict import JudgedRange


@dataclass(frozen=True)
class AnsweredRange:
    """Offsets of which a version answered those of its arm.

    Attributes:
        topic: the input topic's name.
        topic_id: its id; a topic that was made anew has another.
        partition: of the input topic.
        offsets: the offsets.
        weights: the step of the rollout; ``None`` for the fallback chain.
        role: the version's arm.
        assignment: which events are of that arm; ``None`` where it had all of them.
    """

    topic: str
    topic_id: str
    partition: int
    offsets: OffsetRange
    weights: WeightEpoch | None
    role: str
    assignment: ArmAssignment | None = None

    @property
    def weight_epoch(self) -> int:
        """The number of the rollout's step, which is at least 1; 0 for the fallback chain."""
        return self.weights.epoch if self.weights else 0

    def joined(self, following: AnsweredRange) -> AnsweredRange | None:
        """Return both as one range, ``None`` where something lies between them or tells them apart."""
        if self.offsets.end != following.offsets.start or replace(following, offsets=self.offsets) != self:
            return None
        return replace(self, offsets=OffsetRange(self.offsets.start, following.offsets.end))

    def judged(self) -> JudgedRange:
        """Return it as verdicts and the status have it."""
        return JudgedRange(
            topic=self.topic,
            partition=self.partition,
            start=self.offsets.start,
            end=self.offsets.end,
            weight_epoch=self.weight_epoch,
        )


Answers = Callable[[Mapping[str, Any]], Iterable[AnsweredRange]]
"""What is asked for of the answers that a plan's record tells of, in the order of partitions and offsets."""


class AnsweredOffsets:
    """Takes one application's records of the ledger, oldest first."""

    def __init__(self, answers: Answers) -> None:
        """Begin with nothing; ``answers`` says which offsets of a plan are asked for."""
        self._answers = answers
        self._plans: set[str] = set()
        self.is_live = False
        """True if real-time queries have answered, whose ranges may be too small."""
        self._topic = "", ""
        self._ranges: dict[tuple[str, str, int], list[AnsweredRange]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Take the next record; what is of no batch is passed over."""
        if record["type"] == "plan":
            # An outcome does not name its topic; it is that of the plans around it.
            self._topic = record["topic"], record["topic_id"]
            self._planned(record["plan"], record["ranges"], list(self._answers(record)))
        if record["type"] == "outcome" and self._ranges:
            # Only they count their arms over all partitions.
            self.is_live |= record["plan"] in self._plans and "arms" in record
            self._settled(record["partitions"])

    def ranges(self) -> tuple[AnsweredRange, ...]:
        """Return the ranges by topic, partition and offset; neighbours of one step are one range."""
        return tuple(span for name in sorted(self._ranges) for span in self._ranges[name])

    def _planned(self, plan: str, ranges: Mapping[str, Any], answered: list[AnsweredRange]) -> None:
        if not answered:
            return
        self._plans.add(plan)
        for partition, part in ranges.items():
            # A batch that is tried again is planned again.
            self._take_away(int(partition), OffsetRange(*part))
        for span in answered:
            self._append(span)

    def _append(self, answered: AnsweredRange) -> None:
        ranges = self._ranges.setdefault((answered.topic, answered.topic_id, answered.partition), [])
        both = ranges[-1].joined(answered) if ranges else None
        if both is None:
            ranges.append(answered)
        else:
            ranges[-1] = both

    def _settled(self, partitions: Mapping[str, Any]) -> None:
        for partition, outcome in partitions.items():
            for plan, start, end in outcome["segments"]:
                if plan not in self._plans:
                    self._take_away(int(partition), OffsetRange(start, end))

    def _take_away(self, partition: int, part: OffsetRange) -> None:
        """Take offsets away that somebody else has written, or that are planned once more."""
        ranges = self._ranges.get((*self._topic, partition), [])
        # Batches come in order, so that most of them lie above all ranges.
        if ranges and part.start < max(span.offsets.end for span in ranges[-2:]):
            ranges[:] = [remaining for span in ranges for remaining in _outside(span, part)]


def of_candidate(rollout: str, version: ModelKey) -> Answers:
    """Return what asks for the offsets that a version answers in a rollout."""

    def answers(record: Mapping[str, Any]) -> Iterator[AnsweredRange]:
        if record.get("rollout") != rollout:
            return
        plan = Plan.from_dict(record)
        arm = next((arm for arm in plan.arms.arms if arm.version.key == version), None)
        assignment = plan.arms.assignment
        if arm is None or plan.arms.weights is None or (assignment and not assignment.intervals.points(arm.role)):
            return
        for partition, part in plan.ranges.items():
            if part.start < part.end:
                yield replace(_range(plan, partition, part), role=arm.role, assignment=assignment)

    return answers


def of_chain(record: Mapping[str, Any]) -> Iterator[AnsweredRange]:
    """Yield what the fallback chain answers of a plan: the whole batch, or single rows."""
    if "degraded" not in record:
        return
    plan = Plan.from_dict(record)
    rows = sorted(row for part in plan.degraded for row in part.rows)
    of_rows = ((partition, OffsetRange(offset, offset + 1)) for partition, offset in rows)
    for partition, part in plan.ranges.items() if whole(plan.degraded) else of_rows:
        if part.start < part.end:
            yield _range(plan, partition, part)


def _range(plan: Plan, partition: int, part: OffsetRange) -> AnsweredRange:
    return AnsweredRange(
        topic=plan.topic,
        topic_id=plan.topic_id,
        partition=partition,
        offsets=part,
        weights=plan.arms.weights,
        role=CHAMPION,
    )


class LatestAnswered:
    """The offsets of the latest rollout's candidate, whichever that is; takes an application's records in order."""

    def __init__(self) -> None:
        self._name = ""
        self._offsets: AnsweredOffsets | None = None

    def add(self, record: Mapping[str, Any], latest: Rollout | None) -> None:
        """Take the next record, and the latest rollout after it."""
        if latest is None:
            return
        declaration = latest.declaration
        if self._offsets is None or self._name != declaration.name:
            self._name = declaration.name
            self._offsets = AnsweredOffsets(of_candidate(declaration.name, declaration.candidate))
        self._offsets.add(record)

    def ranges(self) -> tuple[AnsweredRange, ...]:
        """Return the ranges, none without a rollout."""
        return self._offsets.ranges() if self._offsets else ()


def answered_ranges(records: Iterable[Mapping[str, Any]], answers: Answers) -> tuple[AnsweredRange, ...]:
    """Return the offsets that are asked for, by the ledger's records in their order."""
    answered = AnsweredOffsets(answers)
    for record in records:
        answered.add(record)
    return answered.ranges()


def _outside(span: AnsweredRange, part: OffsetRange) -> Iterator[AnsweredRange]:
    below = span.offsets.start, min(span.offsets.end, part.start)
    above = max(span.offsets.start, part.end), span.offsets.end
    for start, end in (below, above):
        if start < end:
            yield replace(span, offsets=OffsetRange(start, end))
