"""Where a query starts, and what its checkpoint says: read without Spark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streaming.delivery.marks import Mark, Writer
from streaming.engines.checkpoint import Checkpoint, local_reader
from streaming.engines.start import decide_start
from streaming.errors import DataError, MissingMarkError, TopicRecreatedError
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


def test_a_checkpoint_knows_its_id_and_says_what_is_missing(checkpoint: Checkpoint) -> None:
    assert checkpoint.id() == "abc"
    with pytest.raises(DataError, match="offsets/7"):
        checkpoint.ranges(7, lambda _: {})


def test_a_folder_without_metadata_is_no_checkpoint(tmp_path: Path) -> None:
    assert not Checkpoint(str(tmp_path), "features", local_reader).exists()


def first() -> dict[int, int]:
    return {0: 100, 1: 200}


def test_a_first_run_marks_where_it_starts() -> None:
    start = decide_start(WRITER, {}, False, first)
    assert start.offsets == {0: 100, 1: 200}
    assert start.new_marks == {0: Mark.at(100, WRITER), 1: Mark.at(200, WRITER)}


def test_a_lost_checkpoint_starts_at_the_marks_and_marks_a_new_partition() -> None:
    start = decide_start(WRITER, {0: Mark.at(150, WRITER)}, False, first)
    assert start.offsets == {0: 150, 1: 200}
    assert start.new_marks == {1: Mark.at(200, WRITER)}


def test_a_checkpoint_without_marks_fails_closed() -> None:
    with pytest.raises(MissingMarkError, match="expired"):
        decide_start(WRITER, {}, True, first)


@pytest.mark.parametrize(
    ("mark", "error"),
    [
        pytest.param(None, MissingMarkError, id="a stranger committed to the group"),
        pytest.param(Mark(5, "app", "earlier", 1), TopicRecreatedError, id="the topic was made anew"),
    ],
)
def test_a_mark_that_is_not_ours_fails_closed(mark: Mark | None, error: type[DataError]) -> None:
    with pytest.raises(error):
        decide_start(WRITER, {0: mark}, False, first)


def test_ranges_are_covered_partition_by_partition() -> None:
    planned = {0: OffsetRange(0, 10), 1: OffsetRange(0, 5)}
    assert covers(planned, {0: OffsetRange(3, 7), 2: OffsetRange(4, 4)})
    assert not covers(planned, {1: OffsetRange(3, 7)})
