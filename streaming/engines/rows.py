"""Records to the rows that the writer sends: by frames of Spark's, or by one pass in the task that writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame

from streaming.delivery.write_order import WritePlan
from streaming.events import columns as c
from streaming.models.seams import RowPass
from streaming.models.served import ServedModel
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp, envelop
from streaming.outputs.targets import Target
from streaming.rollout.intervals import CHAMPION

Batches = Iterator[pa.RecordBatch]

_RESIDENT = 4
"""Versions that a worker keeps: the one that serves, the one before, and room for a second query."""
_TOGETHER = 64 * 1024 * 1024
"""Bytes of records that many models score at once: each has some cost by itself, however few of its events come."""


class RowMaker(Protocol):
    """What a task makes of the batches that come to it, before they are written; it is pickled for the tasks."""

    def order(self, order: WritePlan) -> WritePlan:
        """Return the orders as the rows need them."""
        ...

    def rows(self, batches: Batches, order: WritePlan) -> Batches:
        """Yield output rows, by the orders that :meth:`order` returned."""
        ...

    def counts(self) -> dict[str, float]:
        """Return what lookups have counted in this process since the last call."""
        ...


@dataclass(frozen=True)
class FrameRows:
    """The rows of a frame, as they are."""

    def order(self, order: WritePlan) -> WritePlan:
        """Change nothing."""
        return order

    def rows(self, batches: Batches, order: WritePlan) -> Batches:  # noqa: ARG002 - the frame has gone by them
        """Change nothing."""
        return batches

    def counts(self) -> dict[str, float]:
        """Return nothing: nothing was looked up."""
        return {}


@dataclass(frozen=True)
class PassRows:
    """The rows of a pass, which has been pickled."""

    pickled: bytes

    def order(self, order: WritePlan) -> WritePlan:
        """Stamp each row by its own version, where the pass has several."""
        versions = _unpickled(self.pickled).others
        if not versions:
            return order
        stamps = (replace(order.stamp, version=version, role=CHAMPION) for version in versions)
        return replace(order, others=tuple(stamps), by_model=True)

    def rows(self, batches: Batches, order: WritePlan) -> Batches:
        """Score the batches."""
        row_pass = _unpickled(self.pickled)
        for batch in _together(batches) if row_pass.others else batches:
            if batch.num_rows:
                scored = row_pass.score(batch, order.lookup)
                yield enveloped_rows(scored, order.stamps, order.targets.predictions)

    def counts(self) -> dict[str, float]:
        """Return what the pass has counted."""
        return _unpickled(self.pickled).counts()


def output_rows(
    records: DataFrame, model: ServedModel, stamps: tuple[Stamp, ...], to: Target, scored_at: Column | None = None
) -> tuple[DataFrame, RowMaker]:
    """Return the frame that goes to the tasks that write, and what they make of its batches.

    Args:
        records: a batch of the query.
        model: scores them, by its row pass if it has one.
        stamps: one for each arm; a row pass has that of the order that its task was given.
        to: the predictions' topic.
        scored_at: each row's time of scoring, in place of the stamps'.
    """
    if model.row_pass is None:
        stamp, *others = stamps
        return envelop(model.score(records), stamp, to, scored_at, others), FrameRows()
    return records.select(*c.RECORD), PassRows(_pickled(model.row_pass))


def _together(batches: Batches) -> Batches:
    # Bounded by bytes and not by rows, since a task holds these records and their answers at once.
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(part.nbytes for part in waiting) >= _TOGETHER:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _pickled(row_pass: RowPass) -> bytes:
    data: bytes = cloudpickle.dumps(row_pass)  # type: ignore[no-untyped-call]
    return data


@lru_cache(maxsize=_RESIDENT)
def _unpickled(data: bytes) -> RowPass:
    """Return this worker's own pass; unpickled once, however many tasks bring it."""
    row_pass: RowPass = cloudpickle.loads(data)
    return row_pass
