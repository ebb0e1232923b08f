"""Records to the rows that the writer sends: by frames of Spark's, or by one pass in the task that writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

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

Batches = Iterator[pa.RecordBatch]
RowMaker = Callable[[Batches, WritePlan], Batches]
"""What a task makes of the batches that come to it, before they are written."""

_RESIDENT = 4
"""Versions that a worker keeps: the one that serves, the one before, and room for a second query."""


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
        return envelop(model.score(records), stamp, to, scored_at, others), _as_they_are
    return records.select(*c.RECORD), partial(_passed, _pickled(model.row_pass))


def _as_they_are(batches: Batches, _: WritePlan) -> Batches:
    return batches


def _passed(pickled: bytes, batches: Batches, order: WritePlan) -> Batches:
    row_pass = _unpickled(pickled)
    for batch in batches:
        if batch.num_rows:
            yield enveloped_rows(row_pass.score(batch), order.stamps, order.targets.predictions)


def _pickled(row_pass: RowPass) -> bytes:
    data: bytes = cloudpickle.dumps(row_pass)  # type: ignore[no-untyped-call]
    return data


@lru_cache(maxsize=_RESIDENT)
def _unpickled(data: bytes) -> RowPass:
    """Return this worker's own pass; unpickled once, however many tasks bring it."""
    row_pass: RowPass = cloudpickle.loads(data)
    return row_pass
