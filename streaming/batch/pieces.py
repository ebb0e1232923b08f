"""Text files cut into pieces that tasks read apart, and pieces into records: rows of CSV, or lines.

A record lies in one piece, whole. A file is a piece by itself where it is compressed, or where a row of CSV may go over
several lines: only its beginning says whether a line break is inside quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from streaming.batch.quotes import joined
from streaming.compressed import BYTE_ORDER_MARK, compression_of, open_bytes

Kind = Literal["csv", "json"]

_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Piece:
    """Bytes ``start`` up to ``end`` of a file, or all that follow. ``joins``: a row may go over several lines."""

    path: str
    kind: Kind
    start: int = 0
    end: int | None = None
    joins: bool = False

    @property
    def weight(self) -> int:
        """The bytes that it takes on disk."""
        return (self.end or Path(self.path).stat().st_size) - self.start

    def records(self) -> Iterator[list[bytes]]:
        """Yield the records that are not blank, some at a time, without their line breaks; a CSV's header too.

        Raises:
            OSError: the file cannot be read, or its compression is damaged.
        """
        if self.joins:
            yield from _gathered(joined(line for lines in self._lines() for line in lines.splitlines(keepends=True)))
            return
        for lines in self._lines():
            # A line of JSON ends at a line feed alone, as in the stream's own tools.
            split = lines.splitlines() if self.kind == "csv" else lines.split(b"\n")
            yield [record for record in split if record and not record.isspace()]

    def _lines(self) -> Iterator[bytes]:
        """Yield blocks of whole lines."""
        begun: list[bytes] = []
        for block in self._blocks():
            cut = _last_break(block, self.kind)
            if cut:
                yield b"".join([*begun, block[:cut]])
                begun = []
            begun.append(block[cut:])
        yield b"".join(begun)

    def _blocks(self) -> Iterator[bytes]:
        with open_bytes(Path(self.path)) as stream:
            mark = BYTE_ORDER_MARK
            if self.start:
                stream.seek(self.start)
                mark = b""
            while block := stream.read(_BLOCK if self.end is None else min(_BLOCK, self.end - stream.tell())):
                yield block.removeprefix(mark)
                mark = b""


def pieces_of(path: Path, kind: Kind, size: int) -> tuple[Piece, ...]:
    """Cut a file into pieces of about ``size`` bytes.

    Raises:
        OSError: the file cannot be read, or its compression is damaged.
    """
    state = path.stat()
    joins = kind == "csv" and _ends_inside_quotes(_State(path, state.st_mtime_ns, state.st_size))
    if joins or compression_of(path) or state.st_size <= size:
        return (Piece(str(path), kind, joins=joins),)
    with path.open("rb") as stream:
        edges = [0]
        while edges[-1] + size < state.st_size:
            stream.seek(edges[-1] + size)
            stream.readline()
            edges.append(stream.tell())
    starts = [edge for edge in edges if edge < state.st_size]
    return tuple(
        Piece(str(path), kind, start, end) for start, end in zip(starts, [*starts[1:], state.st_size], strict=True)
    )


def first_record(path: Path, kind: Kind) -> bytes | None:
    """Return a file's first record, a CSV's header; ``None`` if it has none. Raises ``OSError``."""
    piece = Piece(str(path), kind, joins=kind == "csv")
    return next((records[0] for records in piece.records() if records), None)


@dataclass(frozen=True)
class _State:
    """A file as it is now: a unit is read several times, and looked at once."""

    path: Path
    changed: int
    size: int


@lru_cache(maxsize=10_000)
def _ends_inside_quotes(file: _State) -> bool:
    """Return whether a line of the file ends inside quotes: it has an odd number of them."""
    inside = 0
    with open_bytes(file.path) as stream:
        while block := stream.read(_BLOCK):
            if not inside and b'"' not in block:
                continue
            data = np.frombuffer(block, np.uint8)
            quotes = np.cumsum(data == ord('"'), dtype=np.uint8) + np.uint8(inside)
            if (quotes[(data == ord("\n")) | (data == ord("\r"))] & 1).any():
                return True
            inside = int(quotes[-1]) & 1
    return bool(inside)


def _last_break(block: bytes, kind: Kind) -> int:
    """Return where the last line ends that is surely whole; a carriage return at the end may be half of a break."""
    feed = block.rfind(b"\n")
    return 1 + (feed if kind == "json" else max(feed, block.rfind(b"\r", 0, len(block) - 1)))


def _gathered(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    group, size = list[bytes](), 0
    for record in records:
        group.append(record)
        size += len(record)
        if size >= _BLOCK:
            yield group
            group, size = [], 0
    yield group
