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
_BYTES = 1_500_000
"""Bytes of records that are scored at once. Each column costs some microseconds, however few its rows are, and those of
more records would not stay in the processor's cache."""
_BYTES_OF_MANY = 64 * 1024 * 1024
"""The same for many models: each has some cost by itself, however few of its events come."""


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
    size = min(_BYTES, order.limits.max_bytes)
    if by.others:
        # Each row is stamped by its own version.
        stamps = (replace(order.stamp, version=version, role=CHAMPION) for version in by.others)
        order, size = replace(order, others=tuple(stamps), by_model=True), _BYTES_OF_MANY
    scored = (by.score(batch, order.lookup) for batch in in_larger(records, size) if batch.num_rows)
    rows = (enveloped_rows(batch, order.stamps, order.targets.predictions) for batch in scored)
    return write_partition(order, rows, partition, partial(_counted, by, order))


def _counted(by: RowPass, order: WritePlan) -> Outcome:
    times = {order.counted_as[arm]: time for arm, time in by.times().items()}
    return Outcome(lookups=by.counts(), times=times)


def in_larger(batches: Batches, size: int) -> Batches:
    """Join batches that follow each other until they have ``size`` bytes; what is left at the end may have fewer."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.nbytes
        if held >= size:
            yield _joined(waiting)
            waiting, held = [], 0
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
