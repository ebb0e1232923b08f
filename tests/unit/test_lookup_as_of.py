"""Training rows get what the job would have given them at their own time, and no later value."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streaming.errors import LookupUnavailableError
from streaming.lookup.as_of import PastLookup, TableHistory
from streaming.lookup.entries import EntryReader
from streaming.lookup.join import TableLookup
from streaming.lookup.table_source import TableChunk, whole_table
from streaming.lookup_state import LookupState
from streaming.settings import EventSettings, LookupSettings
from tests.support.lookups import COLUMNS, MemorySource


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    for timestamp, value in ((1_000, {"bonus": 1.0}), (3_000, {"bonus": 2.0}), (5_000, None)):
        source.put("a", value, timestamp=timestamp)
    return source


def joined(source: MemorySource, rows: list[tuple[str | None, int]], **changes: Any) -> list[tuple[int, float | None]]:
    """Return the time and the bonus of each row that is left."""
    fields = {"topic": "t", "columns": COLUMNS, "folder": Path("unused"), **changes}
    lookup = TableLookup(LookupSettings.model_validate(fields), EventSettings(), source)
    keys, times = zip(*rows, strict=True)
    batch = pa.RecordBatch.from_pydict(
        {"key": pa.array(keys, pa.string()), "at": pa.array([ms * 1_000 for ms in times], pa.timestamp("us", "UTC"))}
    )
    result = PastLookup(lookup, source, LookupState("id", source.ends(), 0), "key").joined(batch, "at")
    assert result.schema.names == ["key", "at", "bonus"]
    return [(row["at"].timestamp() * 1_000, row["bonus"]) for row in result.to_pylist()]


def test_a_row_gets_the_newest_value_written_up_to_its_time_and_else_the_default(source: MemorySource) -> None:
    rows = [("a", 999), ("a", 1_000), ("a", 2_999), ("a", 3_000), ("a", 5_000), ("b", 3_000), (None, 3_000)]
    expected = [-1.0, 1.0, 1.0, 2.0, -1.0, -1.0, -1.0]
    assert joined(source, rows) == [(at, bonus) for (_, at), bonus in zip(rows, expected, strict=True)]


def test_a_value_is_as_old_as_it_was_then(source: MemorySource) -> None:
    rows: list[tuple[str | None, int]] = [("a", 1_500), ("a", 2_500)]
    assert joined(source, rows, time_to_live_seconds=1, stale="default") == [(1_500, 1.0), (2_500, -1.0)]


def test_rows_that_the_job_would_reject_teach_nothing(source: MemorySource) -> None:
    rows: list[tuple[str | None, int]] = [("a", 1_500), ("a", 2_500), ("b", 2_500)]
    assert joined(source, rows, time_to_live_seconds=1, stale="dead_letter", missing="dead_letter") == [(1_500, 1.0)]


def test_what_compaction_has_taken_is_noticed(source: MemorySource) -> None:
    reader = EntryReader(LookupSettings.model_validate({"topic": "t", "columns": COLUMNS}))
    assert not TableHistory(source, source.ends(), reader).has_gaps
    ends = source.ends()
    del source.records[0]
    assert TableHistory(source, ends, reader).has_gaps


class Stalled(MemorySource):
    """A topic whose second chunk never comes."""

    def chunk(self, positions: Sequence[int], ends: Sequence[int], seconds: float) -> TableChunk:
        return super().chunk(positions, ends, seconds) if self.reads == 0 else TableChunk([], tuple(positions))


def test_a_topic_that_is_silent_before_its_end_is_given_up(source: MemorySource) -> None:
    stalled = Stalled(source.records, most=1)
    with pytest.raises(LookupUnavailableError, match="cannot be read to its end"):
        list(whole_table(stalled, stalled.ends()))


def test_what_a_process_has_read_does_not_travel(source: MemorySource) -> None:
    fields = {"topic": "t", "columns": COLUMNS, "folder": Path("unused")}
    lookup = TableLookup(LookupSettings.model_validate(fields), EventSettings(), source)
    past = PastLookup(lookup, source, LookupState("id", source.ends(), 0), "key")
    assert past.history.as_of(b"a", 1_000) is not None
    assert set(vars(past)) - set(vars(pickle.loads(pickle.dumps(past)))) == {"history"}
