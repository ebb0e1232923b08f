"""The lookup table as it was at each event's own time, so that a model is trained on what it would have been given."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa

from streaming.events import columns as c
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.lookup.entries import Entry, EntryReader
from streaming.lookup.join import LookupAnswer, TableLookup, in_bytes
from streaming.lookup.table_source import TableSource, whole_table
from streaming.lookup_state import LookupState
from streaming.models.signature import Column, Signature
from streaming.pickling import PickledByFields


class TableHistory:
    """All records of a table's topic, in memory, by key and timestamp."""

    def __init__(self, source: TableSource, ends: Sequence[int], reader: EntryReader) -> None:
        """Read the topic up to ``ends``.

        Raises:
            LookupUnavailableError: it cannot be read to its end.
        """
        self.has_gaps = False
        """True if offsets are missing, by compaction or by transactions."""
        moments: defaultdict[bytes, list[tuple[int, int, int, Entry | None]]] = defaultdict(list)
        positions: tuple[int, ...] = (0,) * len(ends)
        expected = [0] * len(ends)
        for chunk in whole_table(source, ends):
            for record in chunk.records:
                self.has_gaps = self.has_gaps or record.offset > expected[record.partition]
                expected[record.partition] = record.offset + 1
                entry = reader.read(record.timestamp, record.value)
                moments[record.key].append((record.timestamp, record.partition, record.offset, entry))
            positions = chunk.positions
        self.has_gaps = self.has_gaps or tuple(expected) != positions
        self._moments = {key: sorted(of_key, key=lambda moment: moment[:3]) for key, of_key in moments.items()}

    def as_of(self, key: bytes, time_ms: int) -> Entry | None:
        """Return the newest entry of a key that was written up to a time, in milliseconds since 1970."""
        moments = self._moments.get(key, [])
        position = bisect_right(moments, time_ms, key=lambda moment: moment[0])
        return moments[position - 1][3] if position else None


@dataclass(frozen=True)
class PastLookup(PickledByFields):
    """Looks rows of a training set up; it is pickled for the tasks.

    Attributes:
        lookup: the job's own, whose rules say what a row gets.
        source: reads the table's topic; it may hold secrets.
        state: up to where the table is read.
        key: the rows' column with the key.
    """

    lookup: TableLookup
    source: TableSource = field(repr=False)
    state: LookupState
    key: str

    @property
    def signature(self) -> Signature:
        """The columns that are looked up; each may be null."""
        columns = self.lookup.settings.columns.items()
        return Signature(tuple(Column(name, column.type, required=False) for name, column in columns))

    @cached_property
    def history(self) -> TableHistory:
        """The table's records, as this process has read them."""
        return TableHistory(self.source, self.state.ends, EntryReader(self.lookup.settings))

    def joined(self, rows: pa.RecordBatch, time: str) -> pa.RecordBatch:
        """Return the rows with the columns as of each one's time, without those that the job would reject for it.

        Args:
            rows: n rows with :attr:`key`, and not the looked-up columns.
            time: names the column of their times.
        """
        times = rows.column(time).cast(pa.timestamp("ms", rows.schema.field(time).type.tz), safe=False).cast(pa.int64())
        keys = rows.column(self.key).cast(pa.string()).to_pylist()
        answers = [self._answer(key, moment) for key, moment in zip(keys, times.to_pylist(), strict=True)]
        judged = rows.append_column(c.VERDICT, pa.nulls(rows.num_rows, VERDICT_STRUCT))
        joined = self.lookup.beside(judged, answers, pa.array(range(rows.num_rows), pa.int64()), self.signature)
        valid = joined.filter(joined.column(c.VERDICT).is_null())
        return valid.select([*rows.schema.names, *self.signature.names])

    def _answer(self, key: str | None, moment: int) -> LookupAnswer:
        entry = None if key is None else self.history.as_of(in_bytes(key), moment)
        # As if the row's batch had been planned at its time.
        return self.lookup.answer(entry, replace(self.state, at_ms=moment))
