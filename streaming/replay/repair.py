"""Repairing what a candidate that was taken back, or the fallback chain, answered: the champion scores it again.

A correction is a prediction of its own, with the role ``correction`` in its id, and names the one that it replaces. A
repair is a replay of the answered ranges into the live job's own topics. Its marks have the rollout's name, or the
chain's, so that a second repair publishes nothing again, from whatever machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Literal, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas import dead_letter
from streaming.events import columns as c
from streaming.events.rules import is_at
from streaming.ledger.answered import AnsweredRange
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange, Offsets, Ranges
from streaming.outputs.dead_letters import DeadLetter, Place
from streaming.replay.chunks import Segment, Segments
from streaming.replay.frames import Frames
from streaming.replay.plan import ReplayPlan
from streaming.rollout.frames import arm_number
from streaming.rollout.intervals import CHAMPION
from streaming.rollout.records import Declaration

_NEAR = 10_000
"""Offsets between two ranges that are read as one."""


class Remains(NamedTuple):
    """The answered ranges: those whose events are still on the input topic, and those whose events are gone."""

    there: tuple[AnsweredRange, ...]
    removed: tuple[AnsweredRange, ...]


def remains(answered: Iterable[AnsweredRange], topic_id: str, firsts: Mapping[int, int]) -> Remains:
    """Divide ranges by what the input topic still has.

    Args:
        answered: by the version that was taken back.
        topic_id: of the input topic as it is now; an earlier one of that name has nothing any more.
        firsts: the first offset of each partition that is still there.
    """
    there, removed = [], []
    for span in answered:
        part = span.offsets
        first = firsts.get(span.partition, part.end) if span.topic_id == topic_id else part.end
        # All of a range may be gone, or none of it.
        cut = min(max(first, part.start), part.end)
        if part.start < cut:
            removed.append(replace(span, offsets=OffsetRange(part.start, cut)))
        if cut < part.end:
            there.append(replace(span, offsets=OffsetRange(cut, part.end)))
    return Remains(tuple(there), tuple(removed))


@dataclass(frozen=True)
class RepairPlan(ReplayPlan):
    """A plan that is not kept, because the ledger has it. Its marks are recognised by its name and the topic alone.

    So what retention has taken since the first run, or the chain has answered, does not make it another repair.
    """

    @property
    def identity(self) -> str:
        """See :class:`streaming.replay.plan.ReplayPlan`."""
        return hashlib.sha256(json.dumps(dict(self.asked), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Repair:
    """What is to be repaired: ``ranges`` were answered in ``name``, and ``champion`` scores them again.

    At the offsets in ``lettered`` are events of which the candidate made dead letters. Each has its one end already: if
    the champion fails on it, too, nothing is written.

    ``name`` is a rollout's, or with the kind ``fallback`` no matter.
    """

    name: str
    champion: ModelVersion
    ranges: tuple[AnsweredRange, ...]
    lettered: Offsets = field(default_factory=dict)
    kind: Literal["repair", "fallback"] = "repair"

    @property
    def plan(self) -> RepairPlan:
        """The replay."""
        topic_id = self.ranges[0].topic_id if self.ranges else ""
        return RepairPlan({self.kind: self.name, "topic": topic_id}, self._segments())

    def _segments(self) -> Segments:
        segments: dict[int, list[Segment]] = {}
        for span in self.ranges:
            # In one step the candidate may have answered in either role: as an arm, and as the champion that it became.
            by = PlannedArms((PlannedArm(self.champion, span.role),), weights=span.weights)
            own = segments.setdefault(span.partition, [])
            if own and own[-1].by == by and span.offsets.start - own[-1].part.end <= _NEAR:
                # What lies between is read and left out: a job for each of many single rows would take far longer.
                own[-1] = Segment(OffsetRange(own[-1].part.start, span.offsets.end), by)
            else:
                own.append(Segment(span.offsets, by))
        return segments


def lettered_offsets(
    letters: Iterable[DeadLetter], rollout: Declaration, ranges: Iterable[AnsweredRange]
) -> dict[int, frozenset[int]]:
    """Return the offsets of which a rollout's candidate made dead letters, by partition.

    Args:
        letters: the dead letters' topic.
        rollout: whose candidate is meant.
        ranges: what it has answered of one input topic.
    """
    offsets: dict[int, set[int]] = {}
    answered = list(ranges)
    for letter in letters:
        source = letter.source if _is_of_candidate(letter, rollout) else None
        if source is not None and any(_holds(span, letter.source_topic, source) for span in answered):
            offsets.setdefault(source.partition, set()).add(source.offset)
    return {partition: frozenset(held) for partition, held in offsets.items()}


def _is_of_candidate(letter: DeadLetter, rollout: Declaration) -> bool:
    names = dead_letter.ERROR_CONNECTOR, dead_letter.ROLLOUT, dead_letter.MODEL_NAME, dead_letter.MODEL_VERSION
    candidate = rollout.candidate
    expected = rollout.application, rollout.name, candidate.name, str(candidate.version)
    return tuple(letter.added.get(name) for name in names) == expected


def _holds(span: AnsweredRange, topic: str | None, source: Place) -> bool:
    is_there = (topic, source.partition) == (span.topic, span.partition)
    return is_there and span.offsets.start <= source.offset < span.offsets.end


@dataclass(frozen=True)
class AnsweredFrames:
    """A :class:`streaming.replay.frames.Frames` of the events of a version's arm that ``decode`` does not reject.

    To what the champion rejects it has no answer that could replace the one that is there, which nearly always is a
    dead letter already.
    """

    frames: Frames
    answered: Sequence[AnsweredRange]
    decode: Callable[[DataFrame], DataFrame]

    def read(self, ranges: Ranges) -> DataFrame:
        """See :class:`streaming.replay.frames.Frames`."""
        decoded = self.decode(self.frames.read(ranges))
        overlapping = [span for span in self.answered if _overlap(span, ranges)]
        rows = [(span.partition, span.offsets.start) for span in overlapping if _is_row(span)]
        of_arm = reduce(or_, (_is_of(span) for span in overlapping if not _is_row(span)), is_at(rows))
        own = decoded.where(F.col(c.VERDICT).isNull() & of_arm)
        return own.select(*(F.col(name).alias(name.removeprefix(c.PREFIX)) for name in c.SOURCE))


def _overlap(span: AnsweredRange, ranges: Ranges) -> bool:
    part = ranges.get(span.partition)
    return part is not None and part.start < span.offsets.end and span.offsets.start < part.end


def _is_row(span: AnsweredRange) -> bool:
    """Return whether a range is one row, of which there may be too many for a condition each."""
    return span.assignment is None and span.offsets.end - span.offsets.start == 1


def _is_of(span: AnsweredRange) -> Column:
    offset = F.col(c.OFFSET)
    within = (F.col(c.PARTITION) == span.partition) & (offset >= span.offsets.start) & (offset < span.offsets.end)
    if span.assignment is None:
        return within
    # The first is whose a row is that has neither key nor id, and that is the champion.
    arms = list(dict.fromkeys((CHAMPION, *span.assignment.intervals.arms)))
    number = arm_number(span.assignment, arms, F.col(c.KEY), F.col(c.EVENT_ID))
    return within & (number == arms.index(span.role))


def answered_by(span: AnsweredRange, key: bytes | None, event_id: str | None) -> bool:
    """Return whether an event of a range is of its arm; ``event_id`` is ``None`` if it cannot be read."""
    if span.assignment is None:
        return True
    if key is None and event_id is None:
        return span.role == CHAMPION
    return span.assignment.arm_of(key, event_id or "") == span.role
