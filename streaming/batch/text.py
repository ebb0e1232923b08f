"""Text files to a frame of their records, which are found in Python: that is little more than a copy in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BinaryType, BooleanType, StringType, StructField, StructType

from streaming.batch.pieces import Kind, Piece, pieces_of
from streaming.errors import DataError
from streaming.events import columns as c

UTF_8 = "utf-8"
VALUE = c.PREFIX + "line"
"""A record's bytes: UTF-8 where it is readable, else as they stand in the file."""
READABLE = c.PREFIX + "readable"
"""True where the record's bytes are text in the file's encoding."""

_LEAST, _MOST = 4 * 1024 * 1024, 128 * 1024 * 1024
"""Bytes of a task: the bounds that Spark has for readers of its own."""

Folders = Mapping[str, Mapping[str, str | None]]
"""Path to the columns that its folders name, the same for each."""


@dataclass(frozen=True)
class TextFiles:
    """Files of one kind. Each column of ``folders`` is one of the frame's."""

    paths: Sequence[str]
    kind: Kind
    encoding: str = UTF_8
    folders: Folders = field(default_factory=dict)

    def records(self, session: SparkSession) -> DataFrame:
        """Return :data:`VALUE`, :data:`READABLE` and the folders' columns as text, without headers and blank lines.

        Raises:
            DataError: a file cannot be read.
        """
        tasks = self._tasks(session.sparkContext.defaultParallelism)
        names = tuple(dict.fromkeys(name for values in self.folders.values() for name in values))
        constants = {path: tuple(values.get(name) for name in names) for path, values in self.folders.items()}
        own = [StructField(VALUE, BinaryType()), StructField(READABLE, BooleanType())]
        schema = StructType([*own, *(StructField(name, StringType()) for name in names)])
        numbers = session.range(0, len(tasks), 1, len(tasks))
        return numbers.mapInArrow(_Reader(tasks, self.encoding, names, constants), schema)

    def _tasks(self, parallel: int) -> tuple[tuple[Piece, ...], ...]:
        """Share the files out in their order, which is the same whenever they are read."""
        try:
            total = sum(Path(path).stat().st_size for path in self.paths)
            size = min(_MOST, max(_LEAST, -(-total // parallel)))
        except OSError as problem:
            raise DataError(f"an input file cannot be read: {problem}") from problem
        pieces = [piece for path in self.paths for piece in self._pieces(Path(path), size)]
        tasks: list[list[Piece]] = []
        room = 0
        for piece in pieces:
            if not tasks or piece.weight > room:
                tasks.append([])
                room = size
            tasks[-1].append(piece)
            room -= piece.weight
        return tuple(map(tuple, tasks))

    def _pieces(self, path: Path, size: int) -> tuple[Piece, ...]:
        try:
            return pieces_of(path, self.kind, size)
        except OSError as problem:
            raise DataError(f"{path} cannot be read: {problem}") from problem


@dataclass(frozen=True)
class _Reader:
    """Runs in Spark's tasks, each of which gets its number. ``constants`` are a path's values of ``names``."""

    tasks: tuple[tuple[Piece, ...], ...]
    encoding: str
    names: tuple[str, ...]
    constants: Mapping[str, tuple[str | None, ...]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for piece in self.tasks[number]:
                    yield from self._batches(piece)

    def _batches(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        has_header = piece.kind == "csv" and piece.start == 0
        constants = self.constants.get(piece.path, ())
        for records in _records(piece):
            rows = records[1:] if has_header else records
            has_header = has_header and not records
            texts = utf_8(rows, self.encoding)
            values = [row if text is None else text for row, text in zip(rows, texts, strict=True)]
            arrays = [pa.array(values, pa.binary()), pa.array([text is not None for text in texts], pa.bool_())]
            arrays += [pa.array([value] * len(rows), pa.string()) for value in constants]
            yield pa.RecordBatch.from_arrays(arrays, names=[VALUE, READABLE, *self.names])


def _records(piece: Piece) -> Iterator[list[bytes]]:
    try:
        yield from piece.records()
    except OSError as problem:
        raise OSError(f"reading {piece.path}: {problem}") from problem  # it does not always say of which file it is


def utf_8(records: Sequence[bytes], encoding: str) -> Sequence[bytes | None]:
    r"""Return the records as UTF-8; ``None`` for one that is no text in ``encoding``.

    >>> utf_8([b"Caf\xe9", b"Paris"], "utf-8"), utf_8([b"\xe9"], "latin-1")
    ([None, b'Paris'], [b'\xc3\xa9'])
    """
    # All at once, as nearly all files are UTF-8: a line feed keeps apart what two records hold.
    if encoding == UTF_8 and _utf_8(b"\n".join(records), UTF_8) is not None:
        return records
    return [_utf_8(record, encoding) for record in records]


def _utf_8(record: bytes, encoding: str) -> bytes | None:
    try:
        return record.decode(encoding).encode()
    except UnicodeError:
        return None
