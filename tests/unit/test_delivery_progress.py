"""The progress topic's records: what is written is read back, the newest wins, strangers are passed over."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streaming.delivery.marks import Mark
from streaming.delivery.progress import newest_marks, progress_record

MARKS = st.builds(Mark, st.integers(0), st.just("app"), st.text(), st.integers(1), st.text(), st.integers(-1))


@given(st.lists(st.tuples(MARKS, st.integers(0, 2)), max_size=20), st.randoms())
def test_the_newest_mark_of_each_partition_is_found_in_any_order_of_the_log(
    marks: list[tuple[Mark, int]], random: Random
) -> None:
    expected: dict[int, tuple[int, int]] = {}
    for mark, partition in marks:
        expected[partition] = max(expected.get(partition, (0, 0)), (mark.epoch, mark.offset))
    records = [progress_record(mark, "features", partition) for mark, partition in marks]
    random.shuffle(records)
    result = newest_marks(records, "app", "features")
    assert {p: (mark.epoch, mark.offset) for p, mark in result.items()} == expected


def test_other_applications_other_topics_and_deletions_are_passed_over() -> None:
    mark = Mark(7, "app", "id", 1)
    others = [
        progress_record(mark, "other", 0),
        progress_record(Mark(9, "app2", "id", 9), "features", 0),
        progress_record(Mark(9, "ap", "id", 9), "features", 0),
        (progress_record(mark, "features", 1)[0], None),
        (None, b"{}"),
    ]
    assert newest_marks([progress_record(mark, "features", 0), *others], "app", "features") == {0: mark}
