"""A lookup table on this machine's disk, shared by the workers of one application: SQLite, one transaction a chunk.

It keeps each key's records since the state of the batch before, so that a batch which is tried again reads what it read
before. A state older than that is read from the topic anew.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from streaming.errors import LookupUnavailableError
from streaming.lookup.table_source import TableChunk, TableRecord, TableSource

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS versions (
        key BLOB, partition INTEGER, "offset" INTEGER, timestamp INTEGER, value BLOB,
        PRIMARY KEY (key, partition, "offset")
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS by_offset ON versions (partition, "offset");
    CREATE TABLE IF NOT EXISTS progress (
        partition INTEGER PRIMARY KEY, position INTEGER NOT NULL, floor INTEGER NOT NULL, current INTEGER NOT NULL
    );
"""
_SUPERSEDED = """
    DELETE FROM versions WHERE key = ?1 AND partition = ?2 AND "offset" <
        (SELECT max("offset") FROM versions WHERE key = ?1 AND partition = ?2 AND "offset" < ?3)
"""
_NEWEST = """
    SELECT partition, "offset", timestamp, key, value FROM versions WHERE key IN ({}) ORDER BY key, partition, "offset"
"""
_PROGRESS = "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?)"
_ASKED_TOGETHER = 500
"""Keys of one query."""
_CACHE_KIB = 65_536
"""SQLite's own pages in memory, in each process."""
_PATIENCE_SECONDS = 60.0
"""The longest that another worker may hold the file; one chunk takes a fraction of a second."""


class _Progress(NamedTuple):
    """One partition's offsets: what is read, the oldest state that is whole, and the state of the present batch."""

    position: int = 0
    floor: int = 0
    current: int = 0


class TableFile:
    """One topic's records. An instance belongs to one thread; several processes may have one on the same file."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open the file, or make it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # Transactions are begun and ended by us.
        self._database = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.executescript(_SCHEMA)
        (page,) = self._database.execute("PRAGMA page_size").fetchone()
        self._database.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page)}")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def catch_up(self, ends: Sequence[int], source: TableSource, seconds: float) -> None:
        """Read the topic at least up to ``ends``, from its first record where the file no longer knows that state.

        Raises:
            LookupUnavailableError: that takes longer than ``seconds``, the topic cannot be read, or the file is full.
        """
        deadline = time.monotonic() + seconds
        while self.advance(ends, source, deadline - time.monotonic()):
            if time.monotonic() >= deadline:
                raise LookupUnavailableError(
                    f"the lookup table could not be read up to its offsets {list(ends)} within {seconds:.0f} s"
                    " (lookup.catch_up_seconds)"
                )

    def advance(self, ends: Sequence[int], source: TableSource, seconds: float) -> int:
        """Take one chunk of the topic, for which ``seconds`` are waited.

        Returns:
            The offsets that are left up to ``ends``. With 0, ``ends`` are the file's present state, and what was
            superseded before the state that was present till now may go.

        Raises:
            LookupUnavailableError: the topic cannot be read, or the file is full.
        """
        try:
            with self._writing():
                progress = self._progress(len(ends))
                if any(end < part.floor for end, part in zip(ends, progress, strict=True)):
                    progress = self._forget(len(ends))
                if all(part.position >= end for end, part in zip(ends, progress, strict=True)):
                    self._settle(ends, progress)
                    return 0
                chunk = source.chunk([part.position for part in progress], ends, seconds)
                self._insert(chunk, ends, progress)
        except sqlite3.Error as problem:
            raise LookupUnavailableError(
                f"the lookup table's file cannot be written: {problem}; see lookup.folder and lookup.max_bytes"
            ) from problem
        # At least one, as the state is not settled yet.
        return max(1, sum(max(0, end - at) for end, at in zip(ends, chunk.positions, strict=True)))

    def floors(self, partitions: int) -> tuple[int, ...]:
        """Return the oldest state that is whole: older ones may lack records that have been superseded since."""
        return tuple(part.floor for part in self._progress(partitions))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let the block read the file as it is at its first query, whoever writes meanwhile."""
        self._database.execute("BEGIN")
        try:
            yield
        finally:
            self._database.execute("COMMIT")

    def records(self, keys: Sequence[bytes], ends: Sequence[int]) -> dict[bytes, TableRecord]:
        """Return the newest record below ``ends`` of each key that has one; of two partitions' the later one's."""
        newest: dict[bytes, TableRecord] = {}
        for start in range(0, len(keys), _ASKED_TOGETHER):
            asked = keys[start : start + _ASKED_TOGETHER]
            rows = self._database.execute(_NEWEST.format(", ".join("?" * len(asked))), asked)
            for record in map(TableRecord._make, rows):
                if record.partition >= len(ends) or record.offset >= ends[record.partition]:
                    continue
                if _is_later(record, newest.get(record.key)):
                    newest[record.key] = record
        return newest

    def changed(self, since: Sequence[int], until: Sequence[int]) -> Iterator[bytes]:
        """Yield the keys of the records from ``since`` up to, and not including, ``until``."""
        for partition, (start, end) in enumerate(zip(since, until, strict=True)):
            rows = self._database.execute(
                'SELECT key FROM versions WHERE partition = ? AND "offset" >= ? AND "offset" < ?',
                (partition, start, end),
            )
            yield from (key for (key,) in rows)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk has ended the transaction already.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _progress(self, partitions: int) -> list[_Progress]:
        rows = self._database.execute("SELECT partition, position, floor, current FROM progress")
        by_partition = {partition: _Progress(*offsets) for partition, *offsets in rows}
        return [by_partition.get(partition, _Progress()) for partition in range(partitions)]

    def _forget(self, partitions: int) -> list[_Progress]:
        self._database.execute("DELETE FROM versions")
        self._database.execute("DELETE FROM progress")
        return [_Progress()] * partitions

    def _settle(self, ends: Sequence[int], progress: Sequence[_Progress]) -> None:
        """Note the state of this batch. What was superseded before the last batch's may go with the next records."""
        moved = [
            (partition, part.position, part.current or end, end)
            for partition, (end, part) in enumerate(zip(ends, progress, strict=True))
            if end > part.current
        ]
        self._database.executemany(_PROGRESS, moved)

    def _insert(self, chunk: TableChunk, ends: Sequence[int], progress: Sequence[_Progress]) -> None:
        # On the first read nobody asks for a state older than the present one.
        bounds = [part.floor or end for end, part in zip(ends, progress, strict=True)]
        rows = [(r.key, r.partition, r.offset, r.timestamp, r.value) for r in chunk.records]
        self._database.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?)", rows)
        superseded = {(r.key, r.partition, bounds[r.partition]) for r in chunk.records}
        self._database.executemany(_SUPERSEDED, list(superseded))
        self._database.executemany(
            _PROGRESS,
            [
                (partition, position, part.floor, part.current)
                for partition, (position, part) in enumerate(zip(chunk.positions, progress, strict=True))
            ],
        )


def _is_later(record: TableRecord, before: TableRecord | None) -> bool:
    if before is None or record.partition == before.partition:
        return before is None or record.offset > before.offset
    # The topic was given more partitions, and the key's records went on in another one.
    return (record.timestamp, record.partition) > (before.timestamp, before.partition)
