"""A subscriber's helper drops second copies; dropping a first one would lose it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import dead_letter, prediction
from schemas.dead_letter import Reason, Rejection
from streaming import subscriber
from streaming.models.ref import ModelVersion
from streaming.outputs import headers
from streaming.outputs.envelope import Stamp
from streaming.subscriber import Deduplicator, OffsetIntervals

Headers = list[tuple[str, bytes | None]]
OFFSETS = st.lists(st.integers(0, 40), max_size=120)


def as_read(written: headers.Headers) -> Headers:
    """Headers as a client hands them over."""
    return [(name, word.encode() if isinstance(word, str) else word) for name, word in written]


def scored(
    offset: int, partition: int = 0, *, topic: str = "features", app: str = "app", role: str = "champion"
) -> Headers:
    """A prediction's headers, as the writer makes them."""
    stamp = Stamp(topic, ModelVersion("flights", 1, "run"), role, "2026-01-01T00:00:00.000Z")
    own = headers.varying(f"flights:{role}:{topic}:{partition}:{offset}", offset, "2013-01-01T00:00:00.000Z", None)
    return as_read(headers.constant(stamp, partition, app) + own)


def dead(offset: int, original: Headers | None = None, app: str = "app") -> Headers:
    """A dead letter's headers, added to the event's own."""
    stamp = Stamp("features", ModelVersion("flights", 1, "run"), "champion", "2026-01-01T00:00:00.000Z")
    return as_read(
        headers.rejected(original or [], Rejection(Reason.TOMBSTONE.value), ("features", 0, offset), app, stamp)
    )


@st.composite
def overlapping_generations(draw: st.DrawFn) -> list[int]:
    """What a subscriber reads of two generations that each go up, in any interleaving, with gaps of their own."""
    old = sorted(draw(st.sets(st.integers(0, 30))))
    new = sorted(draw(st.sets(st.integers(15, 60))))
    turns = draw(st.permutations([True] * len(old) + [False] * len(new)))
    feeds = {True: iter(old), False: iter(new)}
    return [next(feeds[turn]) for turn in turns]


def intervals_of(offsets: set[int]) -> int:
    return sum(offset - 1 not in offsets for offset in offsets)


@given(overlapping_generations())
def test_each_event_of_two_overlapping_generations_passes_once(read: list[int]) -> None:
    deduplicator, oracle = Deduplicator(), set[int]()
    for offset in read:
        assert deduplicator.is_new(scored(offset)) == (offset not in oracle)
        oracle.add(offset)


@given(OFFSETS, st.integers(1, 6))
def test_whatever_the_limit_nothing_that_comes_first_is_dropped(read: list[int], limit: int) -> None:
    seen, oracle = OffsetIntervals(limit), set[int]()
    for offset in read:
        assert seen.add(offset) or offset in oracle
        oracle.add(offset)
        bounds = seen.bounds
        assert len(bounds) <= 2 * limit
        assert list(bounds) == sorted(set(bounds))


@given(OFFSETS)
def test_with_as_many_intervals_as_there_are_it_is_a_plain_set(read: list[int]) -> None:
    limit = max((intervals_of(set(read[:count])) for count in range(1, len(read) + 1)), default=1)
    seen, oracle = OffsetIntervals(limit), set[int]()
    for offset in read:
        assert seen.add(offset) == (offset not in oracle)
        oracle.add(offset)
        ends = zip(seen.bounds[::2], seen.bounds[1::2], strict=True)
        assert {offset for start, end in ends for offset in range(start, end)} == oracle
        assert len(seen.bounds) == 2 * intervals_of(oracle)


@given(OFFSETS, st.integers(1, 6))
def test_the_highest_are_remembered(read: list[int], limit: int) -> None:
    """Reading upwards, as one generation writes, a duplicate of the highest ``limit`` intervals is always told."""
    seen = OffsetIntervals(limit)
    upwards = sorted(set(read))
    assert all(seen.add(offset) for offset in upwards)
    starts = [offset for offset in upwards if offset - 1 not in upwards]
    for offset in upwards:
        if offset >= starts[-limit:][0]:
            assert not seen.add(offset)


def test_below_what_is_remembered_a_duplicate_passes_and_takes_no_place() -> None:
    seen = OffsetIntervals(2, [10, 20, 30, 40])
    assert [seen.add(5), seen.add(5), seen.add(15), seen.add(35)] == [True, True, False, False]
    assert seen.bounds == (10, 20, 30, 40)


@pytest.mark.parametrize("bounds", [[1], [2, 1], [1, 1], [1, 5, 5, 7]], ids=str)
def test_bounds_of_no_intervals_are_refused(bounds: list[int]) -> None:
    with pytest.raises(ValueError, match="bounds of intervals"):
        OffsetIntervals(5, bounds)


def test_to_remember_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one interval"):
        OffsetIntervals(0)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(scored(7, partition=1), id="partition"),
        pytest.param(scored(7, topic="others"), id="topic"),
        pytest.param(scored(7, app="another"), id="application"),
        pytest.param(scored(7, role="shadow"), id="role"),
        pytest.param(dead(7), id="dead letter"),
    ],
)
def test_the_same_offset_from_elsewhere_is_another_event(other: Headers) -> None:
    deduplicator = Deduplicator()
    assert deduplicator.is_new(scored(7))
    assert deduplicator.is_new(other)
    assert not deduplicator.is_new(scored(7))
    assert not deduplicator.is_new(other)


def test_a_dead_letter_goes_by_its_own_place_and_not_by_its_event_s_headers() -> None:
    """The input may be another job's predictions; and a dead letter that was sent back has two sets of headers."""
    deduplicator = Deduplicator()
    assert deduplicator.is_new(scored(3))
    assert deduplicator.is_new(dead(8, original=scored(3)))
    assert deduplicator.is_new(dead(9, original=scored(3)))
    assert deduplicator.is_new(dead(10, original=dead(9)))
    assert not deduplicator.is_new(dead(9))


STRANGE: dict[str, Headers | None] = {
    "none": None,
    "empty": [],
    "somebody else's": [("trace", b"1"), ("nothing", None)],
    "without the offset": [word for word in scored(1) if word[0] != prediction.SOURCE_OFFSET],
    "without the role": [word for word in scored(1) if word[0] != prediction.ROLE],
    "an offset without bytes": [*scored(1), (prediction.SOURCE_OFFSET, None)],
    "an offset that is no number": [*scored(1), (prediction.SOURCE_OFFSET, b"first")],
    "a topic without bytes": [*scored(1), (prediction.SOURCE_TOPIC, None)],
    "a reason alone": [(dead_letter.REASON, b"TOMBSTONE")],
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_records_that_are_not_ours_pass_however_often(strange: Headers | None) -> None:
    deduplicator = Deduplicator()
    assert [deduplicator.is_new(strange) for _ in range(3)] == [True] * 3
    assert deduplicator.to_json() == Deduplicator().to_json()


RECORDS = st.builds(
    scored, st.integers(0, 20), st.integers(0, 1), topic=st.text(max_size=3), app=st.sampled_from(["a", 'ü"\n'])
)


@given(st.lists(RECORDS | st.builds(dead, st.integers(0, 20)), max_size=60), st.integers(0, 60))
def test_a_subscriber_that_starts_again_from_its_state_goes_on_as_if_it_had_not(read: list[Headers], at: int) -> None:
    unbroken, first = Deduplicator(3), Deduplicator(3)
    assert [unbroken.is_new(record) for record in read[:at]] == [first.is_new(record) for record in read[:at]]
    again = Deduplicator.from_json(first.to_json(), 3)
    assert again.to_json() == first.to_json()
    assert [unbroken.is_new(record) for record in read[at:]] == [again.is_new(record) for record in read[at:]]


def test_bytes_that_are_no_text_survive_the_state() -> None:
    odd: Headers = [*scored(1), (prediction.SOURCE_TOPIC, b"\xff\xed\xb2\x80")]
    deduplicator = Deduplicator()
    assert deduplicator.is_new(odd)
    again = Deduplicator.from_json(deduplicator.to_json())
    assert not again.is_new(odd)


def test_a_smaller_limit_keeps_the_highest_of_a_state() -> None:
    before = Deduplicator()
    assert all(before.is_new(scored(offset)) for offset in (1, 3, 5))
    after = Deduplicator.from_json(before.to_json(), intervals=2)
    assert [after.is_new(scored(offset)) for offset in (5, 3, 1)] == [False, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "3",
        "null",
        "{",
        '{"penstock.seen.v1": 1}',
        '{"penstock.seen.v1": [[["a"], [3, 1]]]}',
        '{"penstock.seen.v1": [[["a"], ["x", "y"]]]}',
        '{"penstock.seen.v1": [[[1], [1, 2]]]}',
        '{"penstock.seen.v1": [1]}',
    ],
    ids=str,
)
def test_a_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no state of a Deduplicator"):
        Deduplicator.from_json(text)


def test_a_hundred_intervals_fit_beside_a_committed_offset() -> None:
    """The documentation keeps the state in the offset's metadata, for which Kafka allows 4,096 bytes."""
    deduplicator = Deduplicator(intervals=100)
    for offset in range(0, 1_000, 2):
        assert deduplicator.is_new(scored(9_000_000_000 + offset, topic="t" * 249, app="a" * 249))
    assert len(deduplicator.to_json()) < 4_096


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        pytest.param(None, [True, True, True], id="all"),
        pytest.param("features", [True, True, False], id="one topic"),
        pytest.param("feat", [False, False, False], id="a topic that was not seen"),
    ],
)
def test_after_a_reset_offsets_begin_anew(topic: str | None, expected: list[bool]) -> None:
    deduplicator = Deduplicator()
    records = [scored(1), dead(1), scored(1, topic="others")]
    assert all(deduplicator.is_new(record) for record in records)
    deduplicator.reset(topic)
    assert [deduplicator.is_new(record) for record in records] == expected


def test_the_file_can_be_copied_to_where_nothing_is_installed(tmp_path: Path) -> None:
    shutil.copy(Path(subscriber.__file__), tmp_path / "copied.py")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import copied; print(copied.Deduplicator().is_new(None))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
