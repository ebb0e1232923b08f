"""Where a query starts, and what its checkpoint says: read without Spark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from streaming.delivery.marks import Mark, Writer
from streaming.engines.checkpoint import Checkpoint, local_reader
from streaming.engines.start import Start, StartFacts, decide_start
from streaming.errors import DataError, FencedError, MissingMarkError, OffsetGapError, TopicRecreatedError
from streaming.offsets import OffsetRange, covers

WRITER = Writer("app", "features", "id", epoch=2)


def write(home: Path, path: str, *lines: str) -> None:
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text("\n".join(lines))


def offsets(**by_partition: int) -> str:
    return json.dumps({"features": {name.removeprefix("p"): offset for name, offset in by_partition.items()}})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    write(tmp_path, "metadata", '{"id": "abc"}')
    write(tmp_path, "sources/0/0", "\x00v1", offsets(p0=5, p1=0))
    write(tmp_path, "offsets/0", "v1", '{"batchWatermarkMs": 0}', offsets(p0=10, p1=0))
    write(tmp_path, "offsets/1", "v1", '{"batchWatermarkMs": 0}', offsets(p0=12, p1=3, p2=9))
    return Checkpoint(f"file://{tmp_path}", "features", local_reader)


def test_the_first_batch_starts_where_the_source_started(checkpoint: Checkpoint) -> None:
    assert checkpoint.ranges(0, lambda _: {}) == {0: OffsetRange(5, 10), 1: OffsetRange(0, 0)}


def test_a_later_batch_starts_where_the_one_before_ended_and_new_partitions_where_they_begin(
    checkpoint: Checkpoint,
) -> None:
    ranges = checkpoint.ranges(1, lambda added: dict.fromkeys(added, 4))
    assert ranges == {0: OffsetRange(10, 12), 1: OffsetRange(0, 3), 2: OffsetRange(4, 9)}


def test_a_checkpoint_knows_where_its_query_began(checkpoint: Checkpoint, tmp_path: Path) -> None:
    assert checkpoint.first_offsets() == {0: 5, 1: 0}
    assert Checkpoint(str(tmp_path / "none"), "features", local_reader).first_offsets() == {}


def test_a_checkpoint_knows_its_id_and_says_what_is_missing(checkpoint: Checkpoint) -> None:
    assert checkpoint.id() == "abc"
    with pytest.raises(DataError, match="offsets/7"):
        checkpoint.ranges(7, lambda _: {})


def test_a_folder_without_metadata_is_no_checkpoint(tmp_path: Path) -> None:
    assert not Checkpoint(str(tmp_path), "features", local_reader).exists()


HERE = {0: OffsetRange(100, 300), 1: OffsetRange(200, 400)}
"""What the input still has, partition by partition."""
OLD = replace(WRITER, topic_id="earlier", epoch=1)


def first() -> dict[int, int]:
    return {0: 100, 1: 200}


def at(*offsets: int, writer: Writer = WRITER) -> dict[int, Mark | None]:
    return {partition: Mark.at(offset, writer) for partition, offset in enumerate(offsets)}


def saved(*offsets: int, writer: Writer = WRITER) -> dict[int, Mark]:
    return {partition: Mark.at(offset, writer) for partition, offset in enumerate(offsets)}


def decided(facts: StartFacts, *, skip: bool = False) -> Start:
    return decide_start(WRITER, facts, skip, first)


def test_a_first_run_marks_where_it_starts() -> None:
    start = decide_start(WRITER, StartFacts({}, HERE, {}), False, lambda: {0: 300, 1: 400})
    assert start == Start({0: 300, 1: 400}, {0: Mark.at(300, WRITER), 1: Mark.at(400, WRITER)})


def test_a_lost_checkpoint_starts_at_the_marks_and_a_new_partition_at_its_beginning() -> None:
    start = decide_start(WRITER, StartFacts(at(150), HERE, {}), False, lambda: {0: 300, 1: 400})
    assert start == Start({0: 150, 1: 200}, {1: Mark.at(200, WRITER)})


def test_a_checkpoint_that_reads_nothing_lost_is_followed_and_finds_new_partitions_itself() -> None:
    assert decided(StartFacts(at(150), HERE, {}, rereads={0: 100})) == Start({0: 150, 1: 200}, {})


def test_a_mark_that_kafka_forgot_is_restored_from_the_progress_topic() -> None:
    earlier = replace(WRITER, epoch=1)
    kept = Mark.at(250, earlier, "1.7", 240)
    start = decided(
        StartFacts({0: Mark.at(150, WRITER)}, HERE, {0: Mark.at(120, earlier), 1: kept}, rereads={0: 110, 1: 240})
    )
    assert start.offsets == {0: 150, 1: 250}, "the group's own mark is never older"
    assert [(m.partition, m.was, m.now, m.gap) for m in start.moves] == [(1, None, replace(kept, epoch=2), None)]
    assert not start.set_aside
    assert not start.new_marks


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(StartFacts({}, HERE, {}, rereads={}), id="only a checkpoint is there"),
        pytest.param(StartFacts({}, HERE, {}, frozenset({0, 1})), id="only the ledger is there"),
        pytest.param(StartFacts(at(150), HERE, {}, frozenset({1})), id="one partition's mark is nowhere"),
        pytest.param(StartFacts({**at(150), 1: None}, HERE, saved(150, 250)), id="a stranger committed to the group"),
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_a_mark_that_is_nowhere_or_not_ours_fails_closed(state: StartFacts, skip: bool) -> None:
    with pytest.raises(MissingMarkError):
        decided(state, skip=skip)


def test_a_gap_fails_with_its_exact_ranges() -> None:
    with pytest.raises(OffsetGapError) as caught:
        decided(StartFacts(at(40, 199), HERE, {}, rereads={0: 40, 1: 150}))
    assert "partition 0: offsets 40 to 99 (60); partition 1: offsets 199 to 199 (1)" in str(caught.value)
    assert "--on-gap skip" in str(caught.value)


@pytest.mark.parametrize(
    ("marks", "known"), [pytest.param(at(40, 250), {}, id="in the group"), pytest.param({}, saved(40, 250), id="saved")]
)
def test_a_gap_is_skipped_where_that_is_allowed(marks: dict[int, Mark | None], known: dict[int, Mark]) -> None:
    start = decided(StartFacts(marks, HERE, known, rereads={0: 40, 1: 210}), skip=True)
    assert start.offsets == {0: 100, 1: 250}
    move = start.moves[0]
    assert (move.partition, move.was, move.now) == (0, marks.get(0), Mark.at(100, WRITER))
    assert move.gap == OffsetRange(40, 100)
    assert start.set_aside


def test_a_checkpoint_that_would_read_again_what_is_gone_is_set_aside_though_nothing_is_lost() -> None:
    start = decided(StartFacts(at(100, 400), HERE, {}, rereads={0: 99, 1: 350}))
    assert (start.moves, start.offsets) == ((), {0: 100, 1: 400})
    assert "partitions [0]" in start.set_aside


def test_without_a_checkpoint_there_is_none_to_set_aside() -> None:
    assert decided(StartFacts(at(40, 250), HERE, {}), skip=True).set_aside == ""


@pytest.mark.parametrize("skip", [False, True])
def test_a_topic_that_ends_before_the_mark_always_fails(skip: bool) -> None:
    with pytest.raises(DataError, match="scored up to 401, but ends at 400"):
        decided(StartFacts(at(150, 401), HERE, {}), skip=skip)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(StartFacts(at(50, 250, writer=OLD), HERE, {}, rereads={0: 5000}), id="the group's marks"),
        pytest.param(StartFacts({}, HERE, saved(50, 250, writer=OLD), rereads={}), id="the group went with the topic"),
    ],
)
def test_a_topic_made_anew_fails_or_is_begun_from_its_first_record(state: StartFacts) -> None:
    with pytest.raises(TopicRecreatedError, match="--on-gap skip"):
        decided(state)
    start = decided(state, skip=True)
    assert start.offsets == {0: 100, 1: 200}
    assert [move.now for move in start.moves] == [Mark.at(100, WRITER), Mark.at(200, WRITER)]
    assert "topic earlier was scored up to 50" in start.moves[0].reason
    assert start.set_aside


@pytest.mark.parametrize("skip", [False, True])
def test_a_driver_that_was_overtaken_decides_nothing(skip: bool) -> None:
    younger = replace(WRITER, epoch=3)
    for state in (
        StartFacts(at(40, 250, writer=younger), HERE, {}),
        StartFacts({}, HERE, saved(150, 250, writer=younger)),
    ):
        with pytest.raises(FencedError):
            decided(state, skip=skip)


def test_ranges_are_covered_partition_by_partition() -> None:
    planned = {0: OffsetRange(0, 10), 1: OffsetRange(0, 5)}
    assert covers(planned, {0: OffsetRange(3, 7), 2: OffsetRange(4, 4)})
    assert not covers(planned, {1: OffsetRange(3, 7)})
