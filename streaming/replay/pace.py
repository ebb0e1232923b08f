"""The pace of a replay: no record before its time, by the timestamps that the records were given when they were sent.

Within a partition the largest timestamp so far counts, so that a record with an older one does not overtake another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streaming.replay.chunks import Upto

Milliseconds = npt.NDArray[np.int64]


class Timeline(Protocol):
    """The times at which a partition's records were sent, in milliseconds since 1970."""

    def first(self, partition: int, offset: int) -> int | None:
        """Return the time of the first record at or above ``offset``; ``None`` where there is none."""
        ...

    def offset_at(self, partition: int, milliseconds: int) -> int | None:
        """Return the first offset that was sent then or later; ``None`` where all were sent before."""
        ...


@dataclass(frozen=True)
class Pace:
    """``speed`` 2 is twice as fast as it was. ``now`` and ``sleep`` take seconds; ``tick`` is how often is looked."""

    speed: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    tick: float = 0.5


def paced(timeline: Timeline, starts: Mapping[int, int], ends: Upto, pace: Pace) -> Iterator[Upto]:
    """Yield how far each partition may go by now, again and again, until each may go to its end.

    A replay that falls behind is not slowed further: what has become due meanwhile comes at once.
    """
    times = [time for p, start in starts.items() if (time := timeline.first(p, start)) is not None]
    if not times:
        yield ends
        return
    began, first = pace.now(), min(times)
    while True:
        time = first + int((pace.now() - began) * 1_000 * pace.speed)
        # One more, because a record that was sent at this very millisecond is due.
        upto = {p: _reached(timeline.offset_at(p, time + 1), end) for p, end in ends.items()}
        yield upto
        if upto == ends:
            return
        pace.sleep(pace.tick)


def _reached(offset: int | None, end: int) -> int:
    return end if offset is None else min(offset, end)


class ArrayTimeline:
    """A :class:`Timeline` in memory; sixteen bytes a record."""

    def __init__(self, columns: Mapping[int, tuple[Milliseconds, Milliseconds]]) -> None:
        """Take offsets and timestamps of each partition, in offset order."""
        self._columns = {p: (offsets, np.maximum.accumulate(times)) for p, (offsets, times) in columns.items()}

    def first(self, partition: int, offset: int) -> int | None:
        """See :class:`Timeline`."""
        offsets, times = self._columns[partition]
        index = int(np.searchsorted(offsets, offset))
        return int(times[index]) if index < len(times) else None

    def offset_at(self, partition: int, milliseconds: int) -> int | None:
        """See :class:`Timeline`."""
        offsets, times = self._columns[partition]
        index = int(np.searchsorted(times, milliseconds))
        return int(offsets[index]) if index < len(offsets) else None
