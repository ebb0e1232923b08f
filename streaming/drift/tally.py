"""Counting in the executor's worker: a task's predictions and dead letters to a few counts, by numpy.

Every row of the result is a :class:`streaming.drift.windows.Tally` with its version's number and its counts as two
lists. What leaves a task is a few hundred numbers, however many rows it read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.dead_letter import Rejection
from streaming.drift.windows import CELLS

SCHEMA = (
    "partition string, version int, tile long, latest long, rows long, cells array<int>, counts array<long>,"
    " reasons array<string>, fields array<string>, rejected array<long>"
)
"""What :func:`tally` returns, as Spark says it."""

Ints = npt.NDArray[np.int64]


@dataclass
class _Counts:
    latest: int = 0
    rows: int = 0
    cells: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rejected: Counter[Rejection] = field(default_factory=Counter)

    def add_bins(self, flat: npt.NDArray[np.uint8], width: int) -> None:
        """Count a byte per column and row; ``flat`` is row after row."""
        cells = flat.reshape(-1, width) + np.arange(width, dtype=np.int64) * CELLS
        counted = np.bincount(cells.ravel(), minlength=width * CELLS)
        if len(self.cells) < len(counted):
            counted[: len(self.cells)] += self.cells
            self.cells = counted
        else:
            self.cells[: len(counted)] += counted


def tally(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Count a task's rows; all are of one model.

    They have partition, version, tile, the time that the partition has reached with them (epoch ms), bins, and a dead
    letter's reason and field; a prediction has no reason.
    """
    tallied: dict[tuple[str, int, int], _Counts] = {}
    for batch in batches:
        if batch.num_rows:
            _add(tallied, batch)
    if tallied:
        yield _as_batch(tallied)


def _add(tallied: dict[tuple[str, int, int], _Counts], batch: pa.RecordBatch) -> None:
    numbers = [batch.column(name).to_numpy(zero_copy_only=False) for name in ("version", "tile", "reached")]
    partitions = batch.column("partition").dictionary_encode()
    keys = np.stack([partitions.indices.to_numpy(zero_copy_only=False), numbers[0], numbers[1]])
    # One pass by numpy: a Python loop over rows would take longer than scoring them.
    groups, group_of = np.unique(keys, axis=1, return_inverse=True)
    for group, (partition, version, tile) in enumerate(groups.T.tolist()):
        chosen = np.flatnonzero(group_of.ravel() == group)
        counts = tallied.setdefault((partitions.dictionary[partition].as_py(), version, tile), _Counts())
        counts.latest = max(counts.latest, int(numbers[2][chosen].max()))
        _count(counts, batch.take(pa.array(chosen)) if len(chosen) < batch.num_rows else batch)


def _count(counts: _Counts, rows: pa.RecordBatch) -> None:
    letters = rows.filter(rows.column("reason").is_valid())
    counts.rejected.update(map(Rejection, letters.column("reason").to_pylist(), letters.column("field").to_pylist()))
    counts.rows += rows.num_rows - letters.num_rows
    flat, width = _bytes(rows.column("bins").drop_null())
    if width:
        counts.add_bins(flat, width)


def _bytes(bins: pa.Array) -> tuple[npt.NDArray[np.uint8], int]:
    """Return the bins of all rows one after the other, as they lie in memory, and how many a row has.

    A version has one profile, so its rows have one width; those of another are not of its profile.
    """
    widths = pc.binary_length(bins).to_numpy(zero_copy_only=False)
    width = int(widths[0]) if len(widths) else 0
    if not width:
        return np.zeros(0, np.uint8), 0
    # Another writer's header may have another length; its bins mean nothing here.
    if (widths != width).any():
        bins = bins.filter(pa.array(widths == width))
    _, offsets, data = bins.buffers()
    start = np.frombuffer(offsets, np.int32)[bins.offset]
    return np.frombuffer(data, np.uint8)[start : start + width * len(bins)], width


def _as_batch(tallied: dict[tuple[str, int, int], _Counts]) -> pa.RecordBatch:
    rows = [_row(key, counts) for key, counts in sorted(tallied.items())]
    names = [part.split()[0] for part in SCHEMA.split(", ")]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), _KINDS, strict=True)], names
    )


def _row(key: tuple[str, int, int], counts: _Counts) -> tuple[Any, ...]:
    filled = np.flatnonzero(counts.cells)
    rejected = sorted(counts.rejected.items(), key=lambda counted: str(counted[0]))
    return (
        *key,
        counts.latest,
        counts.rows,
        filled.tolist(),
        counts.cells[filled].tolist(),
        [rejection.reason for rejection, _ in rejected],
        [rejection.field for rejection, _ in rejected],
        [number for _, number in rejected],
    )


_KINDS = (
    pa.string(),
    pa.int32(),
    pa.int64(),
    pa.int64(),
    pa.int64(),
    pa.list_(pa.int32()),
    pa.list_(pa.int64()),
    pa.list_(pa.string()),
    pa.list_(pa.string()),
    pa.list_(pa.int64()),
)
