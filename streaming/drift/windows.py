"""Event-time windows of counts per model version: what they hold, when they are closed, and what came too late.

Counts are kept in tiles as long as a window's slide, so that a sliding window is a sum of tiles, and every row is
counted once. A window is closed when the watermark passes its end: the time that every active partition has reached,
less the allowed lateness. When all partitions are idle the watermark goes on at the pace of the clock, or the last
windows before a silence would never be reported. Everything is whole numbers in a dictionary: the result does not
depend on how rows are cut into batches, as long as none is late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.dead_letter import Rejection
from streaming.models.ref import ModelKey

CELLS = 256
"""Bins of a column, as a byte names them: cell ``place * CELLS + bin`` is one bin of the column at ``place``."""
_DAY = 86_400_000


@dataclass(frozen=True)
class WindowSpec:
    """Milliseconds: windows are ``length`` long and begin every ``slide``, which divides it.

    Rows may come ``lateness`` after the newest of their partition; one that is silent for ``idle`` holds nobody back.
    """

    length: int
    slide: int
    lateness: int
    idle: int

    def __post_init__(self) -> None:
        """Refuse a slide that windows are not a multiple of."""
        if self.length % self.slide:
            raise ValueError(f"windows of {self.length} ms do not begin every {self.slide} ms")


@dataclass(frozen=True)
class Tally:
    """What one read of one partition held of one version, ``key``, and tile.

    ``tile`` is the tile's start and ``latest`` the newest event time, both epoch milliseconds. ``cells`` counts bins,
    ``rejected`` dead letters by why they are some.
    """

    partition: str
    key: ModelKey
    tile: int
    latest: int
    rows: int
    cells: Mapping[int, int] = field(default_factory=dict)
    rejected: Mapping[Rejection, int] = field(default_factory=dict)


@dataclass
class Tile:
    """The counts of one version between two slides."""

    rows: int = 0
    cells: Counter[int] = field(default_factory=Counter)
    rejected: Counter[Rejection] = field(default_factory=Counter)

    def add(self, other: Tile | Tally) -> None:
        """Add the counts."""
        self.rows += other.rows
        self.cells.update(other.cells)
        self.rejected.update(other.rejected)


@dataclass(frozen=True)
class Closed:
    """A window that takes no more rows; times in epoch milliseconds. ``late`` rows missed their windows before it."""

    key: ModelKey
    start: int
    end: int
    counts: Tile
    late: int
    by: str


class WindowBook:
    """The open windows."""

    def __init__(self, shape: WindowSpec) -> None:
        self._shape = shape
        self._tiles: dict[tuple[ModelKey, int], Tile] = {}
        self._latest: dict[str, int] = {}
        self._arrived: dict[str, int] = {}
        self._closed_until: int | None = None
        self._late = 0

    @property
    def size(self) -> int:
        """Cells that are kept: at most open tiles times versions times columns times bins."""
        return sum(len(tile.cells) + len(tile.rejected) for tile in self._tiles.values())

    @property
    def open_rows(self) -> int:
        """Rows in windows that are not closed yet."""
        return sum(tile.rows for tile in self._tiles.values())

    def add(self, tallies: Iterable[Tally], now: int) -> None:
        """Count what one read of the topic held, at ``now``, epoch milliseconds."""
        for tally in tallies:
            seen = tally.rows + sum(tally.rejected.values())
            # By the clock and not by the events: only silence makes a partition idle.
            self._arrived[tally.partition] = now
            # A clock that is wrong by years would otherwise close every window for good.
            self._latest[tally.partition] = max(self._latest.get(tally.partition, 0), min(tally.latest, now))
            # Late if the first of its windows is closed. Its windows that are still open count it all the same.
            if self._misses(tally.tile + self._shape.slide) or tally.tile > now + _DAY:
                self._late += seen
            if not self._misses(tally.tile + self._shape.length) and tally.tile <= now + _DAY:
                self._tiles.setdefault((tally.key, tally.tile), Tile()).add(tally)

    def _misses(self, end: int) -> bool:
        return self._closed_until is not None and end <= self._closed_until

    def close(self, now: int) -> list[Closed]:
        """Close what the watermark has passed at ``now`` and return it, in order of time and version."""
        active = [p for p, arrived in self._arrived.items() if now - arrived < self._shape.idle]
        if active:
            return self._close(min(self._latest[p] for p in active) - self._shape.lateness, "watermark")
        if not self._latest:
            return []
        reached = max(self._latest.values()) + now - max(self._arrived.values())
        return self._close(reached - self._shape.lateness, "idle")

    def close_all(self) -> list[Closed]:
        """Close every window, as at the end of a recorded stream."""
        ends = [tile + self._shape.length for _, tile in self._tiles]
        return self._close(max(ends), "end") if ends else []

    def _close(self, watermark: int, by: str) -> list[Closed]:
        # Windows end on multiples of the slide, whatever the watermark is.
        until = watermark - watermark % self._shape.slide
        if self._closed_until is not None and until <= self._closed_until:
            return []
        closed = []
        for start, key in self._starts(until):
            late, self._late = self._late, 0
            closed.append(
                Closed(
                    key=key,
                    start=start,
                    end=start + self._shape.length,
                    counts=self._sum(key, start),
                    late=late,
                    by=by,
                )
            )
        # Also when no window held anything: rows that come later for this time are late all the same.
        self._closed_until = until
        remaining = {at: tile for at, tile in self._tiles.items() if at[1] + self._shape.length > until}
        self._tiles = remaining
        return closed

    def _starts(self, until: int) -> list[tuple[int, ModelKey]]:
        """Return start and version of each window that holds something and ends at or before ``until``."""
        slide, length, before = self._shape.slide, self._shape.length, self._closed_until
        starts = {
            (start, key)
            for key, tile in self._tiles
            for start in range(tile - length + slide, tile + slide, slide)
            if start + length <= until and (before is None or start + length > before)
        }
        return sorted(starts)

    def _sum(self, key: ModelKey, start: int) -> Tile:
        whole = Tile()
        for tile in range(start, start + self._shape.length, self._shape.slide):
            if (key, tile) in self._tiles:
                whole.add(self._tiles[key, tile])
        return whole

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON has it: versions by their numbers, as it is the state of one model."""
        tiles = [
            {
                "version": key.version,
                "start": start,
                "rows": tile.rows,
                "cells": sorted(tile.cells.items()),
                "rejected": [[*rejection, rows] for rejection, rows in tile.rejected.items()],
            }
            for (key, start), tile in sorted(self._tiles.items(), key=lambda counted: counted[0])
        ]
        return {
            "shape": [self._shape.length, self._shape.slide],
            "tiles": tiles,
            "latest": self._latest,
            "closed_until": self._closed_until,
            "late": self._late,
        }

    def restore(self, state: Mapping[str, Any], model: str, now: int) -> None:
        """Take up a state of ``model`` at ``now``; raises ``ValueError`` if its windows have another length or slide.

        Nobody was listening meanwhile, so no partition has been silent.
        """
        if state["shape"] != [self._shape.length, self._shape.slide]:
            raise ValueError("the state's windows have another length or slide")
        self._tiles = {
            (ModelKey(model, tile["version"]), tile["start"]): Tile(
                tile["rows"], Counter(dict(tile["cells"])), _rejections(tile["rejected"])
            )
            for tile in state["tiles"]
        }
        self._latest = dict(state["latest"])
        self._arrived = dict.fromkeys(self._latest, now)
        self._closed_until, self._late = state["closed_until"], state["late"]


def _rejections(saved: Any) -> Counter[Rejection]:
    """Read a tile's dead letters; states of version 1 have an object whose names are ``REASON`` or ``REASON:field``."""
    if isinstance(saved, list):
        return Counter({Rejection(reason, field): rows for reason, field, rows in saved})
    parts = {text.partition(":"): rows for text, rows in saved.items()}
    return Counter({Rejection(reason, field or None): rows for (reason, _, field), rows in parts.items()})
