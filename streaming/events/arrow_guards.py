"""The guards of :mod:`streaming.events.guards` on Arrow batches: the same rows fail as in frames."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.dead_letter import Rejection
from streaming.events import columns as c
from streaming.events.arrow_text import text_positions
from streaming.events.arrow_verdicts import with_verdicts
from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.models.seams import Guard

Fails = NDArray[np.bool_]


def guarded(events: pa.RecordBatch, guards: Iterable[Guard]) -> pa.StructArray:
    """Return the events' verdicts, and for valid ones that of the first guard that they fail.

    Args:
        events: what a :class:`streaming.formats.decoder.RowDecoder` returned.
        guards: of columns of the signature.
    """
    rules = (
        (failing(guard, events.column(guard.column)), Rejection(guard.reason.value, guard.column)) for guard in guards
    )
    return with_verdicts(events.column(c.VERDICT), rules)


@singledispatch
def failing(guard: object, values: pa.Array) -> Fails:
    """Return on which of n values the pipeline would throw.

    Raises:
        TypeError: ``guard`` is none of :mod:`streaming.events.guards`.
    """
    raise TypeError(f"{guard!r} of {len(values)} values is no guard")


@failing.register
def _(_: NotNull, values: pa.Array) -> Fails:
    return _nulls(values)


@failing.register
def _(guard: InVocabulary, values: pa.Array) -> Fails:
    if not guard.categories:
        # Nothing is in an empty list; not even of a null is that unknown.
        return np.ones(len(values), np.bool_)
    return _nulls(text_positions(values, guard.categories)) & ~_nulls(values)


@failing.register
def _(guard: InRange, values: pa.Array) -> Fails:
    numbers = _numbers(values)
    # NaN is greater than every number in Spark.
    outside = (numbers < guard.low) | ~(numbers < guard.high if guard.open_end else numbers <= guard.high)
    if guard.zero_below and pa.types.is_floating(values.type):
        outside |= (numbers == 0) & np.signbit(numbers)
    return outside & ~_nulls(values)


@failing.register
def _(guard: InCategories, values: pa.Array) -> Fails:
    numbers = _numbers(values)
    unseen = ~np.isin(numbers, np.array([0.0, *guard.categories]))
    if np.isnan(guard.categories).any():
        # Two NaN are equal in Spark.
        unseen &= ~np.isnan(numbers)
    return unseen & ~_nulls(values)


def _nulls(values: pa.Array) -> Fails:
    # Most columns have no null, and one of many models has so few events that this is what its guards cost.
    if not values.null_count:
        return np.zeros(len(values), np.bool_)
    nulls: Fails = values.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _numbers(values: pa.Array) -> NDArray[np.float64]:
    filled = values.fill_null(False if pa.types.is_boolean(values.type) else 0)
    numbers: NDArray[np.float64] = filled.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers
