"""The bins of :mod:`streaming.scoring.bins` computed on Arrow batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_text import TextLookup
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, RARE_BIN, ColumnProfile, ReferenceProfile

Bytes = NDArray[np.uint8]

_ANSWERS = {"prediction": c.PREDICTION, "confidence": c.CONFIDENCE}
"""A profile speaks of ``prediction`` and ``confidence``; in a scored batch they have Penstock's own names."""


def bin_ids(values: pa.Array, profile: ColumnProfile) -> Bytes:
    """Return the bin id (0 to 255) of each of n values, as :func:`streaming.scoring.bins.bin_of` gives it.

    Raises:
        ScoringError: text has numeric bins.
    """
    return _ColumnBins(profile).ids(values)


class ProfileBins:
    """A reference profile made ready once: for a batch with few events, that takes longer than to find their bins.

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
        ids = np.empty((scored.num_rows, len(self._columns)), np.uint8)
        # Spark does not tell cases apart; of equal names the first counts.
        places = {name.lower(): place for place, name in reversed(list(enumerate(scored.schema.names)))}
        for position, column in enumerate(self._columns):
            place = places.get(column.spelling)
            if place is None:
                raise ScoringError(f"the reference profile has the column {column.name}, which scored events have not")
            ids[:, position] = column.ids(scored.column(place))
        offsets = np.arange(scored.num_rows + 1, dtype=np.int32) * np.int32(len(self._columns))
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(ids)]
        return pa.BinaryArray.from_buffers(pa.binary(), scored.num_rows, buffers)


class _ColumnBins:
    """The bins of one column, made ready."""

    def __init__(self, profile: ColumnProfile) -> None:
        self.name = profile.name
        self.spelling = _ANSWERS.get(profile.name, profile.name).lower()
        self._is_numeric = profile.kind == "numeric"
        self._edges = np.asarray(profile.edges, np.float64)
        self._texts = (*profile.categories, *profile.rare)
        # A bin for each category, then that of the rare, then that of all others.
        self._bins = np.full(len(self._texts) + 1, RARE_BIN, np.uint8)
        self._bins[: len(profile.categories)] = np.arange(len(profile.categories))
        self._bins[-1] = OTHER_BIN
        self._lookups: dict[pa.DataType, TextLookup] = {}

    def ids(self, values: pa.Array) -> Bytes:
        ids = self._numeric(values) if self._is_numeric else self._category(values)
        if values.null_count:
            ids[values.is_null().to_numpy(zero_copy_only=False)] = NULL_BIN
        return ids

    def _numeric(self, values: pa.Array) -> Bytes:
        if pa.types.is_string(values.type):
            raise ScoringError(f"the reference profile has numeric bins of {self.name}, which is a column of text")
        numeric = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
        # A null is NaN here, which is quicker than to fill it with a number.
        numbers = numeric.to_numpy(zero_copy_only=False).astype(np.float64)
        # The bin is the number of edges that are not above the value.
        ids: Bytes = np.searchsorted(self._edges, numbers, side="right").astype(np.uint8)
        ids[~np.isfinite(numbers)] = NON_FINITE_BIN
        return ids

    def _category(self, values: pa.Array) -> Bytes:
        if values.type not in self._lookups:
            self._lookups[values.type] = TextLookup.of(self._texts, values.type)
        positions = self._lookups[values.type].positions(values).fill_null(len(self._texts))
        ids: Bytes = self._bins[positions.to_numpy()]
        return ids
