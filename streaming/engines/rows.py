"""Records to the rows that the writer sends: by frames of Spark's, or by one pass in the task that writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame

from streaming.delivery.outcome import Outcome
from streaming.delivery.write_order import WritePlan
from streaming.delivery.writer import write_partition
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


Write = Callable[[WritePlan, Batches, int | None], Batches]
"""Makes output rows of the batches that come to a task, and writes them; see :func:`write_partition`."""


def output_rows(
    records: DataFrame, model: ServedModel, stamps: tuple[Stamp, ...], to: Target, scored_at: Column | None = None
) -> tuple[DataFrame, Write]:
    """Return the frame that goes to the tasks that write, and how they do; the latter is pickled for them.

    Args:
        records: a batch of the query.
        model: scores them, by its row pass if it has one.
        stamps: one for each arm; a row pass has that of the order that its task was given.
        to: the predictions' topic.
        scored_at: each row's time of scoring, in place of the stamps'.
    """
    if model.row_pass is None:
        stamp, *others = stamps
        return envelop(model.score(records), stamp, to, scored_at, others), write_partition
    return records.select(*c.RECORD), partial(_write_scored, _pickled(model.row_pass))


def _write_scored(row_pass: bytes, order: WritePlan, records: Batches, partition: int | None) -> Batches:
    """Score the records of a task by a pass, which has been pickled, and write the rows."""
    by = _unpickled(row_pass)
    # What is left of a task that failed is of another batch.
    by.times()
    if by.others:
        # Each row is stamped by its own version.
        stamps = (replace(order.stamp, version=version, role=CHAMPION) for version in by.others)
        order, records = replace(order, others=tuple(stamps), by_model=True), _together(records)
    scored = (by.score(batch, order.lookup) for batch in records if batch.num_rows)
    rows = (enveloped_rows(batch, order.stamps, order.targets.predictions) for batch in scored)
    return write_partition(order, rows, partition, partial(_counted, by, order))


def _counted(by: RowPass, order: WritePlan) -> Outcome:
    times = {order.counted_as[arm]: time for arm, time in by.times().items()}
    return Outcome(lookups=by.counts(), times=times)


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
