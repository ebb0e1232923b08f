"""Chunks and pace: whatever the sizes, everything comes once, in order, by its version, and not before its time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.replay.chunks import Chunk, Segment, Segments, Upto, apart, assigned, cut, ends, remaining
from streaming.replay.pace import ArrayTimeline, Pace, paced


def by(version: int) -> PlannedArms:
    return PlannedArms.only(ModelVersion("m", version))


@st.composite
def segments(draw: st.DrawFn) -> Segments:
    """Partitions whose versions change, with gaps that were skipped."""
    result = {}
    for partition in range(draw(st.integers(1, 4))):
        parts, at = [], 0
        for skip, length, version in draw(
            st.lists(st.tuples(*(st.integers(0, 2), st.integers(1, 9), st.integers(1, 3))))
        ):
            parts.append(Segment(OffsetRange(at + skip, at + skip + length), by(version)))
            at += skip + length
        result[partition] = parts
    return result


def offsets(parts: Iterable[tuple[int, OffsetRange]]) -> dict[int, list[int]]:
    result: dict[int, list[int]] = {}
    for partition, part in parts:
        result.setdefault(partition, []).extend(range(part.start, part.end))
    return result


def of_segments(found: Segments) -> dict[int, list[int]]:
    return offsets((p, segment.part) for p, parts in found.items() for segment in parts)


def of_chunks(chunks: Iterable[Chunk]) -> dict[int, list[int]]:
    return offsets(item for chunk in chunks for item in chunk.ranges.items())


@given(segments(), st.integers(1, 20), st.lists(st.integers(0, 30), max_size=5))
def test_chunks_hold_every_offset_once_in_order_under_its_version(found: Segments, most: int, turns: list[int]) -> None:
    steps: list[Upto] = [dict.fromkeys(found, upto) for upto in sorted(turns)]
    chunks = list(cut(found, most, [*steps, ends(found)]))
    assert of_chunks(chunks) == of_segments(found)
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert 0 < chunk.offsets <= most
        for partition, part in chunk.ranges.items():
            home = next(s for s in found[partition] if s.part.covers(part))
            assert home.by == chunk.by


@given(segments(), st.integers(1, 20), st.integers(0, 30))
def test_a_turn_is_yielded_whole_before_the_next_is_taken(found: Segments, most: int, upto: int) -> None:
    taken: list[int] = []

    def turns() -> Iterable[Upto]:
        yield dict.fromkeys(found, upto)
        taken.extend(chain.from_iterable(of_chunks(seen).values()))
        yield ends(found)

    seen: list[Chunk] = []
    for chunk in cut(found, most, turns()):
        seen.append(chunk)
    assert sorted(taken) == sorted(o for part in of_segments(found).values() for o in part if o < upto)


@given(segments(), st.integers(1, 20), st.integers(1, 20), st.integers(0, 40))
def test_a_replay_that_goes_on_does_what_is_left_whatever_its_sizes(
    found: Segments, before: int, after: int, stop: int
) -> None:
    first = list(cut(found, before, [ends(found)]))[:stop]
    done = {p: part.end for chunk in first for p, part in chunk.ranges.items()}
    left = remaining(found, done)
    rest = list(cut(left, after, [ends(left)]))
    both = of_chunks([*first, *rest])
    assert both == of_segments(found)


@given(segments(), st.integers(1, 20))
def test_chunks_taken_apart_hold_the_same_in_the_same_order_one_partition_each(found: Segments, most: int) -> None:
    taken = list(apart(cut(found, most, [ends(found)])))
    assert of_chunks(taken) == of_segments(found)
    assert {len(chunk.ranges) for chunk in taken} <= {1}


def test_a_version_stays_while_it_has_work() -> None:
    result = {
        0: [Segment(OffsetRange(0, 2), by(1)), Segment(OffsetRange(2, 9), by(2))],
        1: [Segment(OffsetRange(0, 9), by(1))],
    }
    chunks = list(cut(result, 4, [ends(result)]))
    assert [chunk.by.champion.version.version for chunk in chunks] == [1, 1, 1, 2, 2]
    assert chunks[0].ranges == {0: OffsetRange(0, 2), 1: OffsetRange(0, 2)}


def test_one_version_takes_what_is_not_empty() -> None:
    assert assigned({0: OffsetRange(3, 3), 1: OffsetRange(1, 2)}, by(1)) == {
        0: [],
        1: [Segment(OffsetRange(1, 2), by(1))],
    }


@dataclass
class Watch:
    """Turned by hand: a sleep takes as long as it says, a chunk as long as the test says."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


TIMES = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 20_000)), max_size=15)


@given(st.lists(TIMES, min_size=1, max_size=3), st.sampled_from([0.5, 1.0, 10.0]), st.floats(0, 3), st.integers(1, 9))
def test_no_record_comes_before_its_time_and_none_is_left_out(
    rows: list[list[tuple[int, int]]], speed: float, busy: float, most: int
) -> None:
    columns = {
        p: (np.array(list(accumulate(o for o, _ in r)), "int64"), np.array([t for _, t in r], "int64"))
        for p, r in enumerate(rows)
    }
    parts = {p: OffsetRange(0, int(o[-1]) + 1) for p, (o, _) in columns.items() if len(o)}
    watch, timeline = Watch(), ArrayTimeline(columns)
    result = assigned(parts, by(1))
    chunks = []
    for chunk in cut(
        result, most, paced(timeline, dict.fromkeys(parts, 0), ends(result), Pace(speed, watch.now, watch.sleep))
    ):
        chunks.append(chunk)
        for partition, part in chunk.ranges.items():
            o, times = columns[partition]
            due = np.maximum.accumulate(times)[(o >= part.start) & (o < part.end)]
            first = min(int(times[0]) for _, times in columns.values() if len(times))
            assert all(time <= first + watch.now() * 1_000 * speed for time in due)
        watch.sleep(busy)
    assert of_chunks(chunks) == of_segments(result)


def test_a_replay_that_falls_behind_takes_what_has_become_due_at_once() -> None:
    times = np.arange(100, dtype="int64") * 1_000
    timeline, watch = ArrayTimeline({0: (np.arange(100, dtype="int64"), times)}), Watch()
    reached = []
    for upto in paced(timeline, {0: 0}, {0: 100}, Pace(1.0, watch.now, watch.sleep, tick=1.0)):
        reached.append(upto[0])
        watch.sleep(9.0)
    assert [after - before for before, after in pairwise(reached)][:5] == [10] * 5


@pytest.mark.parametrize(("milliseconds", "offset"), [(0, 4), (5, 4), (6, 6), (9, 6), (10, None)], ids=str)
def test_the_largest_time_so_far_counts(milliseconds: int, offset: int | None) -> None:
    timeline = ArrayTimeline({0: (np.array([4, 5, 6, 8]), np.array([5, 2, 9, 7]))})
    assert timeline.offset_at(0, milliseconds) == offset
    assert [timeline.first(0, at) for at in (0, 5, 7, 9)] == [5, 5, 9, None]
