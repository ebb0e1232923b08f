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
    # Spark does not tell cases apart; of equal names the first counts.
    places = {name.lower(): place for place, name in reversed(list(enumerate(scored.schema.names)))}
    for position, column in enumerate(profile.columns):
        place = places.get(_ANSWERS.get(column.name, column.name).lower())
        if place is None:
            raise ScoringError(f"the reference profile has the column {column.name}, which scored events have not")
        ids[:, position] = bin_ids(scored.column(place), column)
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


def _numeric(values: pa.Array, profile: ColumnProfile) -> Bytes:
    if pa.types.is_string(values.type):
        raise ScoringError(f"the reference profile has numeric bins of {profile.name}, which is a column of text")
    numeric = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
    # A null is NaN here, which is quicker than to fill it with a number.
    numbers = numeric.to_numpy(zero_copy_only=False).astype(np.float64)
    # The bin is the number of edges that are not above the value.
    ids: Bytes = np.searchsorted(np.asarray(profile.edges, np.float64), numbers, side="right").astype(np.uint8)
    ids[~np.isfinite(numbers)] = NON_FINITE_BIN
    return ids


def _category(values: pa.Array, profile: ColumnProfile) -> Bytes:
    texts = (*profile.categories, *profile.rare)
    positions = text_positions(values, texts).fill_null(len(texts)).to_numpy()
    # One look-up for all: a bin for each category, then that of the rare, then that of all others.
    bins: Bytes = np.full(len(texts) + 1, RARE_BIN, np.uint8)
    bins[: len(profile.categories)] = np.arange(len(profile.categories))
    bins[-1] = OTHER_BIN
    ids: Bytes = bins[positions]
    return ids
