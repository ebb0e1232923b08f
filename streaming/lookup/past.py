"""A check whether the topic still has an older state of the lookup table, or compaction has taken some of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streaming.lookup.table_source import TableChunk, TableSource, whole_table


@dataclass
class _Traces:
    """What the log shows of one partition's past, below and above a state's end."""

    next_offset: int = 0
    gap_below: bool = False
    gap_above: bool = False
    below: set[bytes] = field(default_factory=set)
    newcomer: bool = False
    """A key has records above the end, and none below."""

    @property
    def is_doubtful(self) -> bool:
        """True if a record below the end may have been removed because of one above it.

        Nothing was, if no offset below is missing. Else a removed record's successor is either there, as a key without
        a record below, or was removed, too, and its offset is missing above.
        """
        return self.gap_below and (self.gap_above or self.newcomer)


def past_is_whole(source: TableSource, now: Sequence[int], ends: Sequence[int]) -> bool:
    """Read a table's topic, and return whether the state below ``ends`` is as it was.

    If it is, so is any later state. A topic that is written in transactions has gaps that compaction did not make. For
    such a topic the answer may be no although the state is whole.

    Args:
        source: reads the topic.
        now: the present ends of its partitions.
        ends: those of the state.

    Raises:
        LookupUnavailableError: the topic cannot be read.
    """
    traces: defaultdict[int, _Traces] = defaultdict(_Traces)
    positions: tuple[int, ...] = (0,) * len(now)
    for chunk in whole_table(source, now):
        _note(chunk, ends, traces)
        positions = chunk.positions
    for partition, end in enumerate(ends):
        _jump(traces[partition], positions[partition], end)
    return not any(trace.is_doubtful for trace in traces.values())


def _note(chunk: TableChunk, ends: Sequence[int], traces: Mapping[int, _Traces]) -> None:
    for record in chunk.records:
        trace, end = traces[record.partition], ends[record.partition] if record.partition < len(ends) else 0
        _jump(trace, record.offset, end)
        trace.next_offset = record.offset + 1
        if record.offset < end:
            trace.below.add(record.key)
        elif record.key not in trace.below:
            trace.newcomer = True


def _jump(trace: _Traces, offset: int, end: int) -> None:
    """Note the offsets that are missing before one."""
    if offset > trace.next_offset:
        trace.gap_below = trace.gap_below or trace.next_offset < end
        trace.gap_above = trace.gap_above or offset > end
