"""Verdicts on Arrow batches, in the form that frames and decoders of rows have them: the first rule counts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.dead_letter import Rejection

VERDICT_STRUCT = pa.struct([("reason", pa.string()), ("field", pa.string())])
"""Null for a valid event; :data:`streaming.events.columns.VERDICT_TYPE` in Arrow."""

ArrowRule = tuple[NDArray[np.bool_], Rejection]
"""The rows of a batch that fail, and why they are rejected."""


def rows_of(chosen: NDArray[np.bool_]) -> pa.Int64Array:
    """Return what puts the k-th of some values into the k-th row that is chosen of n, by ``take``; else null."""
    return pa.array(np.cumsum(chosen) - 1, mask=~chosen)


def with_verdicts(verdicts: pa.StructArray, rules: Iterable[ArrowRule]) -> pa.StructArray:
    """Return the verdicts, and for each row that has none that of the first rule which it fails.

    Args:
        verdicts: one of :data:`VERDICT_STRUCT` for each of n rows, null where nothing is wrong so far.
        rules: masks of n rows, in the order of their precedence.
    """
    # Mostly nothing fails; one of many models has so few events in a batch that this is what its rules cost.
    failed = [(fails, rejection) for fails, rejection in rules if fails.any()]
    if not failed:
        return verdicts
    is_valid = verdicts.is_null().to_numpy(zero_copy_only=False)
    causes = np.full(len(verdicts), -1)
    for cause, (fails, _) in enumerate(failed):
        causes[is_valid & fails & (causes < 0)] = cause
    is_new = causes >= 0
    if not is_new.any():
        return verdicts
    causes_or_null = pa.array(causes, mask=~is_new)
    rejections = zip(*(rejection for _, rejection in failed), strict=True)
    made = (pa.array(parts, pa.string()).take(causes_or_null) for parts in rejections)
    before = (verdicts.field(name) for name in ("reason", "field"))
    columns = [pc.if_else(pa.array(is_new), new, old) for new, old in zip(made, before, strict=True)]
    return pa.StructArray.from_arrays(columns, fields=list(VERDICT_STRUCT), mask=pa.array(is_valid & ~is_new))
