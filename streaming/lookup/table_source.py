"""The table's topic as its readers see it: records in chunks, from one offset of each partition to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from streaming.errors import LookupUnavailableError

_SILENCE_SECONDS = 60.0
"""A reader of the whole topic gives the broker up after so long a silence."""


class TableRecord(NamedTuple):
    """A record of the table's topic; ``timestamp`` in milliseconds, ``value`` ``None`` for a tombstone."""

    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class TableChunk:
    """Records in the order of each partition, and up to where each partition is read with them."""

    records: Sequence[TableRecord]
    positions: tuple[int, ...]


class TableSource(Protocol):
    """Reads the table's topic; ``adapters/kafka/lookup_source.py`` implements it."""

    def chunk(self, positions: Sequence[int], ends: Sequence[int], seconds: float, /) -> TableChunk:
        """Return some records from ``positions`` on, which may be none, within some seconds.

        Raises:
            LookupUnavailableError: the topic cannot be read.
        """
        ...


def whole_table(source: TableSource, ends: Sequence[int]) -> Iterator[TableChunk]:
    """Yield the topic from its first records up to ``ends``, which has the end of each partition.

    Raises:
        LookupUnavailableError: the topic cannot be read, or not to its end.
    """
    positions: tuple[int, ...] = (0,) * len(ends)
    while any(position < end for position, end in zip(positions, ends, strict=True)):
        chunk = source.chunk(positions, ends, _SILENCE_SECONDS)
        if chunk.positions == positions:
            raise LookupUnavailableError("the lookup table's topic cannot be read to its end; try again")
        yield chunk
        positions = chunk.positions
