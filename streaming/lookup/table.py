"""A worker's view of the lookup table: what a batch's state says of keys, from memory where it is known."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.errors import LookupUnavailableError
from streaming.lookup.entries import Entry, EntryReader
from streaming.lookup.table_file import TableFile
from streaming.lookup.table_source import TableSource
from streaming.lookup_state import LookupState
from streaming.settings import LookupSettings

HITS, MISSES, CATCH_UP = "cache_hits", "cache_misses", "catch_up_seconds"
"""What :meth:`LookupTable.counts` counts: keys that were in memory, keys that were not, and seconds of reading."""

_MOST_CHANGED = 2_000
"""Records between two states that are looked at; after more, everything in memory is read anew when it is asked for."""


class LookupTable:
    """One topic's table. It belongs to one thread, and is at one state at a time."""

    def __init__(self, settings: LookupSettings, topic_id: str, source: TableSource) -> None:
        """Open the table's file.

        Args:
            settings: the columns, and where the file is.
            topic_id: of the topic, for each of which there is a file of its own.
            source: reads the topic.

        Raises:
            LookupUnavailableError: the file cannot be opened.
        """
        self._settings = settings
        self._source = source
        self._reader = EntryReader(settings)
        self._ends: tuple[int, ...] = ()
        self._cache: OrderedDict[bytes, Entry | None] = OrderedDict()
        self._counts: defaultdict[str, float] = defaultdict(float)
        path = table_path(settings.folder, f"{settings.topic}", topic_id)
        try:
            self._file = TableFile(path, settings.max_bytes)
        except (OSError, sqlite3.Error) as problem:
            raise LookupUnavailableError(
                f"the lookup table's file {path} cannot be opened: {problem}; see lookup.folder, or remove the file"
            ) from problem

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def move_to(self, state: LookupState, seconds: float) -> None:
        """Read the topic as far as a state says.

        Raises:
            LookupUnavailableError: that takes longer than ``seconds``, or the topic cannot be read.
        """
        if state.ends == self._ends:
            return
        began = time.monotonic()
        self._file.catch_up(state.ends, self._source, seconds)
        self._drop_changed(state.ends)
        self._counts[CATCH_UP] += time.monotonic() - began

    def read_on(self, state: LookupState, seconds: float) -> int:
        """Read one chunk of the topic into the file; see :meth:`streaming.lookup.table_file.TableFile.advance`."""
        return self._file.advance(state.ends, self._source, seconds)

    def entries_behind(self, keys: Sequence[bytes], state: LookupState) -> list[Entry | None] | None:
        """Return what a state has of distinct keys, where another thread reads the topic into the file.

        Nothing is read but the file: at most the given keys, and as many records as :data:`_MOST_CHANGED`.

        Returns:
            ``None`` if the file has gone on, and no longer has the state as a whole.

        Raises:
            LookupUnavailableError: the file cannot be read.
        """
        if state.ends == self._ends and all(key in self._cache for key in keys):
            return self.entries(keys)
        try:
            with self._file.snapshot():
                floors = self._file.floors(len(state.ends))
                if any(end < floor for end, floor in zip(state.ends, floors, strict=True)):
                    return None
                self._follow(state.ends, floors)
                return self.entries(keys)
        except sqlite3.Error as problem:
            raise LookupUnavailableError(f"the lookup table's file cannot be read: {problem}") from problem

    def entries(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what the present state has of distinct keys; ``None`` where it has nothing."""
        unknown = [key for key in keys if key not in self._cache]
        self._counts[HITS] += len(keys) - len(unknown)
        self._counts[MISSES] += len(unknown)
        read = self._read(unknown) if unknown else {}
        entries = []
        for key in keys:
            if key in read:
                entries.append(read[key])
            else:
                self._cache.move_to_end(key)
                entries.append(self._cache[key])
        self._cache.update(read)
        while len(self._cache) > self._settings.cache_keys:
            self._cache.popitem(last=False)
        return entries

    def counts(self) -> dict[str, float]:
        """Return what was counted since the last call."""
        counts = dict(self._counts)
        self._counts.clear()
        return counts

    def totals(self) -> dict[str, float]:
        """Return what was counted since the table was opened, for another thread; nobody calls :meth:`counts`."""
        return dict(self._counts)

    @property
    def defaults(self) -> tuple[Any, ...]:
        """The columns' defaults."""
        return self._reader.defaults

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, Entry | None]:
        try:
            records = self._file.records(keys, self._ends)
        except sqlite3.Error as problem:
            raise LookupUnavailableError(f"the lookup table's file cannot be read: {problem}") from problem
        newest = {key: records.get(key) for key in keys}
        return {
            key: None if record is None else self._reader.read(record.timestamp, record.value)
            for key, record in newest.items()
        }

    def _follow(self, ends: tuple[int, ...], floors: tuple[int, ...]) -> None:
        """Move to a state, and forget at least the keys that have changed since the one before."""
        before = self._ends
        is_near = len(before) == len(ends) and 0 <= sum(ends) - sum(before) <= _MOST_CHANGED
        # Below the file's floors, records that would name changed keys may be gone.
        if is_near and all(start >= floor for start, floor in zip(before, floors, strict=True)):
            self._drop_changed(ends)
        else:
            self._ends, self._cache = ends, OrderedDict()

    def _drop_changed(self, ends: tuple[int, ...]) -> None:
        before, self._ends = self._ends, ends
        is_later = len(before) == len(ends) and all(new >= old for new, old in zip(ends, before, strict=True))
        if not is_later:
            self._cache.clear()
            return
        for key in self._file.changed(before, ends):
            self._cache.pop(key, None)


def table_path(folder: Path, topic: str, topic_id: str) -> Path:
    """Return the file of a table."""
    # An id is base64, whose signs no path has.
    safe_id = topic_id.replace("/", "_").replace("+", "-")
    return folder / f"{topic}.{safe_id}.sqlite"
