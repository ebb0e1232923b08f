"""A table on disk is, at each state, what a map would be that had taken the records below it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import LookupUnavailableError
from streaming.lookup.past import past_is_whole
from streaming.lookup.table import LookupTable, table_path
from streaming.lookup.table_file import TableFile
from streaming.lookup.table_source import TableChunk, TableRecord
from streaming.lookup_state import LookupState
from streaming.settings import LookupSettings
from tests.support.laws import examples
from tests.support.lookups import COLUMNS, MemorySource

KEYS = [b"a", b"b", b"c"]


def file_in(folder: Path, max_bytes: int = 1 << 24) -> TableFile:
    return TableFile(folder / "t.sqlite", max_bytes)


def values(table: TableFile, ends: Sequence[int]) -> dict[bytes, bytes | None]:
    return {key: record.value for key, record in table.records(KEYS, ends).items()}


def expected(records: Sequence[TableRecord], ends: Sequence[int]) -> dict[bytes, bytes | None]:
    return {r.key: r.value for r in records if r.offset < ends[r.partition]}


keyed = st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 9))), max_size=12)
"""Records of one partition: keys and values."""


@given(keyed, st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(1, 5))
@examples(60)
def test_every_state_is_that_of_the_records_below_it_in_whatever_order_states_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int | None]], states: list[int], most: int
) -> None:
    source = MemorySource(most=most)
    for key, value in rows:
        source.put(key, None if value is None else {"v": value})
    table = file_in(tmp_path_factory.mktemp("law"))
    for state in states:
        ends = [min(state, len(rows))]
        table.catch_up(ends, source, 10.0)
        assert values(table, ends) == expected(source.records, ends)
    table.close()


def test_the_state_before_is_still_there_when_a_batch_is_tried_again_and_older_ones_are_read_anew(
    tmp_path: Path,
) -> None:
    source, table = MemorySource(), file_in(tmp_path)
    for value in range(4):
        source.put("a", {"v": value})
        table.catch_up([value + 1], source, 10.0)
    reads = source.reads
    table.catch_up([3], source, 10.0)
    assert source.reads == reads
    assert values(table, [3]) == {b"a": b'{"v": 2}'}
    table.catch_up([1], source, 10.0)
    assert source.reads > reads
    assert values(table, [1]) == {b"a": b'{"v": 0}'}


def test_two_workers_share_one_file_and_read_each_record_once(tmp_path: Path) -> None:
    source = MemorySource(most=100)
    first, second = file_in(tmp_path), file_in(tmp_path)
    source.put("a", {"v": 1})
    first.catch_up([1], source, 10.0)
    second.catch_up([1], source, 10.0)
    assert source.reads == 1
    assert values(second, [1]) == values(first, [1]) == {b"a": b'{"v": 1}'}


def test_a_key_that_moved_to_another_partition_has_its_later_record(tmp_path: Path) -> None:
    source, table = MemorySource(), file_in(tmp_path)
    source.put("a", {"v": "old"}, partition=0, timestamp=1)
    source.put("a", {"v": "new"}, partition=1, timestamp=2)
    table.catch_up([1, 1], source, 10.0)
    assert values(table, [1, 1]) == {b"a": b'{"v": "new"}'}
    assert values(table, [1, 0]) == {b"a": b'{"v": "old"}'}


def test_a_table_beyond_its_bound_is_unavailable_and_says_which_setting_bounds_it(tmp_path: Path) -> None:
    source, table = MemorySource(most=1_000), file_in(tmp_path, max_bytes=1 << 17)
    for number in range(1_000):
        source.put(f"key-{number}", {"text": "x" * 500})
    with pytest.raises(LookupUnavailableError, match=r"full.*lookup\.max_bytes"):
        table.catch_up([1_000], source, 10.0)


def test_a_topic_that_does_not_get_there_in_time_is_unavailable(tmp_path: Path) -> None:
    class Silent(MemorySource):
        def chunk(self, positions: Sequence[int], ends: Sequence[int], seconds: float) -> TableChunk:
            return TableChunk((), tuple(positions))

    with pytest.raises(LookupUnavailableError, match=r"within 0 s.*catch_up_seconds"):
        file_in(tmp_path).catch_up([5], Silent(), 0.05)


def settings(folder: Path, **changes: object) -> LookupSettings:
    return LookupSettings.model_validate({"topic": "t", "columns": COLUMNS, "folder": folder, **changes})


def test_memory_answers_until_a_keys_record_changes(tmp_path: Path) -> None:
    source = MemorySource()
    table = LookupTable(settings(tmp_path), "id", source)
    source.put("a", {"bonus": 1.0})
    source.put("b", {"bonus": 2.0})
    table.move_to(LookupState("id", source.ends(), 0), 10.0)
    assert [entry.values if entry else None for entry in table.entries(KEYS)] == [(1.0,), (2.0,), None]
    assert table.counts() == {"cache_hits": 0, "cache_misses": 3, "catch_up_seconds": pytest.approx(0, abs=5)}
    source.put("a", {"bonus": 3.0})
    source.put("c", {"bonus": 4.0})
    table.move_to(LookupState("id", source.ends(), 0), 10.0)
    assert [entry.values if entry else None for entry in table.entries(KEYS)] == [(3.0,), (2.0,), (4.0,)]
    counted = table.counts()
    assert (counted["cache_hits"], counted["cache_misses"]) == (1, 2)
    assert table_path(tmp_path, "t", "id").exists()


def test_memory_keeps_no_more_keys_than_it_may(tmp_path: Path) -> None:
    source = MemorySource()
    for key in "abc":
        source.put(key, {"bonus": 1.0})
    table = LookupTable(settings(tmp_path, cache_keys=2), "id", source)
    table.move_to(LookupState("id", source.ends(), 0), 10.0)
    table.entries([b"a", b"b", b"c"])
    table.entries([b"c"])
    table.entries([b"a"])
    assert (table.counts()["cache_hits"], len(KEYS)) == (1, 3)


def compacted(source: MemorySource, end: int) -> list[TableRecord]:
    """Return the records that are left once the broker has cleaned the log up to an offset."""
    newest = {record.key: record.offset for record in source.records if record.offset < end}
    return [r for r in source.records if r.offset >= end or newest[r.key] == r.offset]


@given(keyed, st.integers(0, 12), st.integers(0, 12))
@examples(200)
def test_a_past_that_counts_as_whole_is_what_it_was(
    rows: list[tuple[str, int | None]], state: int, cleaned: int
) -> None:
    source = MemorySource()
    for key, value in rows:
        source.put(key, None if value is None else {"v": value})
    now, ends = [len(rows)], [min(state, len(rows))]
    before = expected(source.records, ends)
    source.records = compacted(source, cleaned)
    if past_is_whole(source, now, ends):
        assert expected(source.records, ends) == before
    else:
        assert len(source.records) < len(rows)


def test_a_past_whose_records_have_successors_in_a_cleaned_log_is_not_whole() -> None:
    source = MemorySource()
    for value in (1, 2, 3):
        source.put("a", {"v": value})
    assert past_is_whole(source, [3], [2])
    source.records = compacted(source, 3)
    assert not past_is_whole(source, [3], [2])
    assert past_is_whole(source, [3], [3])
