"""Cutting what is to be replayed into chunks: each of the same arms, bounded in rows, each partition in its order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from streaming.ledger.arms import PlannedArms
from streaming.offsets import OffsetRange, Ranges


@dataclass(frozen=True)
class Segment:
    """Offsets of one partition that the same arms score: one version, or several by the events' keys."""

    part: OffsetRange
    by: PlannedArms


Segments = Mapping[int, Sequence[Segment]]
"""The segments of each partition, in order; what lies between two segments is left out."""

Upto = Mapping[int, int]
"""The offset of each partition below which everything may be replayed."""


@dataclass(frozen=True)
class Chunk:
    """What one Spark job replays."""

    number: int
    by: PlannedArms
    ranges: Ranges

    @property
    def offsets(self) -> int:
        """How many offsets; not each need hold a record."""
        return sum(part.end - part.start for part in self.ranges.values())


def assigned(ranges: Ranges, by: PlannedArms) -> dict[int, list[Segment]]:
    """Let the same arms score everything."""
    return {partition: [Segment(part, by)] if part.end > part.start else [] for partition, part in ranges.items()}


def ends(segments: Segments) -> dict[int, int]:
    """Return where each partition's last segment ends."""
    return {partition: parts[-1].part.end for partition, parts in segments.items() if parts}


def offsets_of(segments: Segments) -> int:
    """Return how many offsets there are in all."""
    return sum(segment.part.end - segment.part.start for parts in segments.values() for segment in parts)


def remaining(segments: Segments, done: Mapping[int, int]) -> dict[int, list[Segment]]:
    """Return what is left when each partition is replayed up to the offset in ``done``."""
    left_over = {}
    for partition, parts in segments.items():
        mark = done.get(partition, 0)
        cut_off = [Segment(OffsetRange(max(s.part.start, mark), s.part.end), s.by) for s in parts if s.part.end > mark]
        if cut_off:
            left_over[partition] = cut_off
    return left_over


def cut(segments: Segments, most: int, turns: Iterable[Upto]) -> Iterator[Chunk]:
    """Yield chunks of at most ``most`` offsets.

    Args:
        segments: what to replay.
        most: of one chunk.
        turns: how far each partition may go by then; taken one by one, each when everything before it is yielded.
    """
    remaining = {partition: deque(parts) for partition, parts in sorted(segments.items())}
    by: PlannedArms | None = None
    number = 0
    for upto in turns:
        while ready := {
            p: parts[0] for p, parts in remaining.items() if parts and parts[0].part.start < upto.get(p, 0)
        }:
            # The versions stay as long as they have work: loading another one takes seconds.
            if by not in [segment.by for segment in ready.values()]:
                by = next(iter(ready.values())).by
            # At least one offset a partition, or a chunk could be empty and nothing would move.
            same = [p for p, segment in ready.items() if segment.by == by][:most]
            share = most // len(same)
            ranges = {p: _take(remaining[p], min(upto[p], ready[p].part.start + share)) for p in same}
            yield Chunk(number, ready[same[0]].by, ranges)
            number += 1


def apart(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield each chunk's partitions as chunks of their own."""
    for chunk in chunks:
        for partition, part in chunk.ranges.items():
            yield Chunk(chunk.number, chunk.by, {partition: part})


def _take(parts: deque[Segment], end: int) -> OffsetRange:
    first = parts.popleft()
    if end >= first.part.end:
        return first.part
    parts.appendleft(Segment(OffsetRange(end, first.part.end), first.by))
    return OffsetRange(first.part.start, end)
