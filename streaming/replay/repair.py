"""Repairing a rollout that was taken back: the candidate's events are scored again, and the answers replaced.

A correction is a prediction of its own, with the role ``correction`` in its id, and names the one that it replaces. A
repair is a replay of the candidate's ranges into the live job's own topics. Its marks have the rollout's name, so that
a second repair publishes nothing again, from whatever machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas import dead_letter
from streaming.events import columns as c
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
    for each in answered:
        part = each.offsets
        first = firsts.get(each.partition, part.end) if each.topic_id == topic_id else part.end
        # All of a range may be gone, or none of it.
        cut = min(max(first, part.start), part.end)
        if part.start < cut:
            removed.append(replace(each, offsets=OffsetRange(part.start, cut)))
        if cut < part.end:
            there.append(replace(each, offsets=OffsetRange(cut, part.end)))
    return Remains(tuple(there), tuple(removed))


@dataclass(frozen=True)
class RepairPlan(ReplayPlan):
    """A plan that is not kept, because the ledger has it. Its marks are recognised by the rollout and the topic alone.

    So what retention has taken since the first run does not make it another repair.
    """

    @property
    def identity(self) -> str:
        """See :class:`streaming.replay.plan.ReplayPlan`."""
        return hashlib.sha256(json.dumps(dict(self.asked), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Repair:
    """What is to be repaired: ``ranges`` were answered in ``rollout``, and ``champion`` scores them again.

    At the offsets in ``lettered`` are events of which the candidate made dead letters. Each has its one end already: if
    the champion fails on it, too, nothing is written.
    """

    rollout: str
    champion: ModelVersion
    ranges: tuple[AnsweredRange, ...]
    lettered: Offsets = field(default_factory=dict)

    @property
    def plan(self) -> RepairPlan:
        """The replay."""
        topic_id = self.ranges[0].topic_id if self.ranges else ""
        return RepairPlan({"repair": self.rollout, "topic": topic_id}, self._segments())

    def _segments(self) -> Segments:
        segments: dict[int, list[Segment]] = {}
        for each in self.ranges:
            # In one step the candidate may have answered in either role: as an arm, and as the champion that it became.
            by = PlannedArms((PlannedArm(self.champion, each.role),), weights=each.weights)
            segments.setdefault(each.partition, []).append(Segment(each.offsets, by))
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
        if source is not None and any(_holds(each, letter.source_topic, source) for each in answered):
            offsets.setdefault(source.partition, set()).add(source.offset)
    return {partition: frozenset(held) for partition, held in offsets.items()}


def _is_of_candidate(letter: DeadLetter, rollout: Declaration) -> bool:
    names = dead_letter.ERROR_CONNECTOR, dead_letter.ROLLOUT, dead_letter.MODEL_NAME, dead_letter.MODEL_VERSION
    candidate = rollout.candidate
    expected = rollout.application, rollout.name, candidate.name, str(candidate.version)
    return tuple(letter.added.get(name) for name in names) == expected


def _holds(each: AnsweredRange, topic: str | None, source: Place) -> bool:
    is_there = (topic, source.partition) == (each.topic, each.partition)
    return is_there and each.offsets.start <= source.offset < each.offsets.end


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
        of_arm = reduce(or_, (_is_of(each) for each in self.answered if _overlap(each, ranges)))
        own = decoded.where(F.col(c.VERDICT).isNull() & of_arm)
        return own.select(*(F.col(name).alias(name.removeprefix(c.PREFIX)) for name in c.SOURCE))


def _overlap(each: AnsweredRange, ranges: Ranges) -> bool:
    part = ranges.get(each.partition)
    return part is not None and part.start < each.offsets.end and each.offsets.start < part.end


def _is_of(each: AnsweredRange) -> Column:
    offset = F.col(c.OFFSET)
    within = (F.col(c.PARTITION) == each.partition) & (offset >= each.offsets.start) & (offset < each.offsets.end)
    if each.assignment is None:
        return within
    # The first is whose a row is that has neither key nor id, and that is the champion.
    arms = list(dict.fromkeys((CHAMPION, *each.assignment.intervals.arms)))
    number = arm_number(each.assignment, arms, F.col(c.KEY), F.col(c.EVENT_ID))
    return within & (number == arms.index(each.role))


def answered_by(each: AnsweredRange, key: bytes | None, event_id: str | None) -> bool:
    """Return whether an event of a range is of its arm; ``event_id`` is ``None`` if it cannot be read."""
    if each.assignment is None:
        return True
    if key is None and event_id is None:
        return each.role == CHAMPION
    return each.assignment.arm_of(key, event_id or "") == each.role
