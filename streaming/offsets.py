"""A batch's share of the input: for each partition the offsets from ``start`` up to but not including ``end``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class OffsetRange:
    """Half-open: ``end`` is where the next batch starts. Not every offset in between need hold a record."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Refuse a range that runs backwards."""
        if self.end < self.start:
            raise ValueError(f"offsets run backwards: {self.start} to {self.end}")

    def covers(self, other: OffsetRange) -> bool:
        """Return whether every offset of ``other`` is one of ours."""
        return self.start <= other.start and other.end <= self.end


Ranges = Mapping[int, OffsetRange]
"""Partition to range."""

Offsets = Mapping[int, frozenset[int]]
"""Partition to single offsets."""

Progress = Callable[[int, int], None]
"""Told, now and then, how many offsets of how many are read."""


def covers(outer: Ranges, inner: Ranges) -> bool:
    """Return whether every non-empty range of ``inner`` lies in the same partition's range of ``outer``."""
    return all(
        partition in outer and outer[partition].covers(part)
        for partition, part in inner.items()
        if part.end > part.start
    )
