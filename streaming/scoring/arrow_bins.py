"""The bins of :mod:`streaming.scoring.bins` computed on Arrow batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_text import TextLookup
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, RARE_BIN, ColumnProfile, ReferenceProfile
from streaming.scoring.compiled.coded_texts import CodedTexts, first_positions

Bytes = NDArray[np.uint8]

_ANSWERS = {"prediction": c.PREDICTION, "confidence": c.CONFIDENCE}
"""A profile speaks of ``prediction`` and ``confidence``; in a scored batch they have Penstock's own names."""


def bin_ids(values: pa.Array, profile: ColumnProfile) -> Bytes:
    """Return the bin id (0 to 255) of each of n values, as :func:`streaming.scoring.bins.bin_of` gives it.

    Raises:
        ScoringError: text has numeric bins.
    """
    return _ColumnBins(profile).ids(BinColumn(values), slice(0, len(values)))


class BinColumn:
    """A column's values. As numbers they are read once, for all profiles that ask for the bins of a part of them."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values

    @cached_property
    def coded(self) -> CodedTexts | None:
        """Texts coded; ``None`` of other values, and where too many are distinct."""
        return CodedTexts.of(self.values) if pa.types.is_string(self.values.type) else None

    @cached_property
    def numbers(self) -> tuple[NDArray[np.float64], Bytes | None]:
        """The values as doubles, and the bins of those that are null or not finite.

        Beside these the latter are 0; they are ``None`` if there are none.
        """
        values = self.values.cast(pa.int8()) if pa.types.is_boolean(self.values.type) else self.values
        # A null is NaN here, which is quicker than to fill it with a number.
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
        finite = np.isfinite(numbers)
        if finite.all():
            return numbers, None
        special = np.where(finite, 0, NON_FINITE_BIN).astype(np.uint8)
        special[self.values.is_null().to_numpy(zero_copy_only=False)] = NULL_BIN
        return numbers, special


class BinColumns:
    """The columns of a batch by their names in any case, as Spark has them; of equal names the first counts."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._columns: dict[str, BinColumn] = {}
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            self._columns.setdefault(name.lower(), BinColumn(values))

    def get(self, spelling: str) -> BinColumn | None:
        """Return a column by its name in lower case."""
        return self._columns.get(spelling)


@dataclass(frozen=True)
class BinRows:
    """Some rows of a batch."""

    columns: BinColumns
    rows: slice

    @classmethod
    def whole(cls, batch: pa.RecordBatch) -> BinRows:
        """Return all rows of a batch."""
        return cls(BinColumns(batch), slice(0, batch.num_rows))


class ProfileBins:
    """A reference profile prepared for batches. With many models each has few events, so the preparation is the cost.

    Only one thread may use it.
    """

    def __init__(self, profile: ReferenceProfile) -> None:
        """Make nothing ready before it is needed."""
        self._columns = [_ColumnBins(column) for column in profile.columns]

    def of(self, scored: pa.RecordBatch) -> pa.BinaryArray:
        """Return the bin ids of the profiled columns, a byte each.

        Args:
            scored: the features by name, prediction and confidence by those of :mod:`streaming.events.columns`.

        Raises:
            ScoringError: the batch has no column that the profile has, or a column of text has numeric bins.
        """
        return self.of_rows(BinRows.whole(scored))

    def of_rows(self, *beside: BinRows) -> pa.BinaryArray:
        """Return the bin ids of as many rows of several batches, which together are what :meth:`of` takes."""
        rows = beside[0].rows.stop - beside[0].rows.start
        ids = np.empty((rows, len(self._columns)), np.uint8)
        for position, column in enumerate(self._columns):
            ids[:, position] = _ids(column, beside)
        offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(len(self._columns))
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(ids)]
        return pa.BinaryArray.from_buffers(pa.binary(), rows, buffers)


def _ids(column: _ColumnBins, beside: tuple[BinRows, ...]) -> Bytes:
    for part in beside:
        values = part.columns.get(column.spelling)
        if values is not None:
            return column.ids(values, part.rows)
    raise ScoringError(f"the reference profile has the column {column.name}, which scored events have not")


class _ColumnBins:
    """The bins of one column, made ready."""

    def __init__(self, profile: ColumnProfile) -> None:
        self.name = profile.name
        self.spelling = _ANSWERS.get(profile.name, profile.name).lower()
        self._is_numeric = profile.kind == "numeric"
        self._edges = np.asarray(profile.edges, np.float64)
        self._texts = (*profile.categories, *profile.rare)
        self._by_text = {**dict.fromkeys(profile.rare, RARE_BIN), **first_positions(profile.categories)}
        # A bin for each category, then that of the rare, then that of all others.
        self._bins = np.full(len(self._texts) + 1, RARE_BIN, np.uint8)
        self._bins[: len(profile.categories)] = np.arange(len(profile.categories))
        self._bins[-1] = OTHER_BIN
        self._lookups: dict[pa.DataType, TextLookup] = {}

    def ids(self, column: BinColumn, rows: slice) -> Bytes:
        if self._is_numeric:
            return self._numeric(column, rows)
        if column.coded is None:
            return self._category(column.values[rows])
        return column.coded.part(rows).numbers(self._by_text, OTHER_BIN, NULL_BIN).astype(np.uint8)

    def _numeric(self, column: BinColumn, rows: slice) -> Bytes:
        if pa.types.is_string(column.values.type):
            raise ScoringError(f"the reference profile has numeric bins of {self.name}, which is a column of text")
        numbers, special = column.numbers
        # The bin is the number of edges that are not above the value.
        ids: Bytes = np.searchsorted(self._edges, numbers[rows], side="right").astype(np.uint8)
        # The special bins come after those of values.
        return ids if special is None else np.maximum(ids, special[rows])

    def _category(self, values: pa.Array) -> Bytes:
        if values.type not in self._lookups:
            self._lookups[values.type] = TextLookup.of(self._texts, values.type)
        positions = self._lookups[values.type].positions(values)
        # Most values are known ones, and to fill what is not there takes as long as to look them up.
        if positions.null_count:
            positions = positions.fill_null(len(self._texts))
        ids: Bytes = self._bins[positions.to_numpy()]
        if values.null_count:
            ids[values.is_null().to_numpy(zero_copy_only=False)] = NULL_BIN
        return ids
