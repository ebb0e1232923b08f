"""The bins of :mod:`streaming.scoring.bins` computed on Arrow batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_text import text_positions
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, RARE_BIN, ColumnProfile, ReferenceProfile

Bytes = NDArray[np.uint8]

_ANSWERS = {"prediction": c.PREDICTION, "confidence": c.CONFIDENCE}
"""A profile speaks of ``prediction`` and ``confidence``; in a scored batch they have Penstock's own names."""


def arrow_bins(scored: pa.RecordBatch, profile: ReferenceProfile | None) -> pa.BinaryArray:
    """Return the bin ids of the profiled columns, a byte each; null where the version has no profile.

    Args:
        scored: the features by name, prediction and confidence by those of :mod:`streaming.events.columns`.
        profile: the version's reference profile.

    Raises:
        ScoringError: the batch has no column that the profile has, or a column of text has numeric bins.
    """
    if profile is None:
        return pa.nulls(scored.num_rows, pa.binary())
    width = len(profile.columns)
    ids = np.empty((scored.num_rows, width), np.uint8)
    for position, column in enumerate(profile.columns):
        ids[:, position] = bin_ids(_column(scored, column.name), column)
    offsets = np.arange(scored.num_rows + 1, dtype=np.int32) * np.int32(width)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(ids)]
    return pa.BinaryArray.from_buffers(pa.binary(), scored.num_rows, buffers)


def bin_ids(values: pa.Array, profile: ColumnProfile) -> Bytes:
    """Return the bin id (0 to 255) of each of n values, as :func:`streaming.scoring.bins.bin_of` gives it.

    Raises:
        ScoringError: text has numeric bins.
    """
    ids = _numeric(values, profile) if profile.kind == "numeric" else _category(values, profile)
    if values.null_count:
        ids[values.is_null().to_numpy(zero_copy_only=False)] = NULL_BIN
    return ids


def _column(scored: pa.RecordBatch, name: str) -> pa.Array:
    # Spark does not tell cases apart.
    lower = [field.lower() for field in scored.schema.names]
    spelling = _ANSWERS.get(name, name).lower()
    if spelling not in lower:
        raise ScoringError(f"the reference profile has the column {name}, which a batch of scored events has not")
    return scored.column(lower.index(spelling))


def _numeric(values: pa.Array, profile: ColumnProfile) -> Bytes:
    if pa.types.is_string(values.type):
        raise ScoringError(f"the reference profile has numeric bins of {profile.name}, which is a column of text")
    filled = values.fill_null(False if pa.types.is_boolean(values.type) else 0)
    numbers = filled.to_numpy(zero_copy_only=False).astype(np.float64)
    # The bin is the number of edges that are not above the value.
    ids: Bytes = np.searchsorted(np.asarray(profile.edges, np.float64), numbers, side="right").astype(np.uint8)
    ids[~np.isfinite(numbers)] = NON_FINITE_BIN
    return ids


def _category(values: pa.Array, profile: ColumnProfile) -> Bytes:
    ids: Bytes = np.full(len(values), OTHER_BIN, np.uint8)
    if profile.rare:
        ids[text_positions(values, profile.rare).is_valid().to_numpy(zero_copy_only=False)] = RARE_BIN
    positions = text_positions(values, profile.categories)
    frequent = positions.is_valid().to_numpy(zero_copy_only=False)
    ids[frequent] = positions.drop_null().to_numpy()
    return ids
