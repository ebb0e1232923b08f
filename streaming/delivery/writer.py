"""The transactional writer: one input partition's output of one batch, and the mark, in one Kafka transaction.

It runs in a Spark task (``mapInArrow``), so everything it needs travels in a :class:`WritePlan`. The protocol, whose
order is what makes it exactly once (:mod:`streaming.delivery.transaction` has steps 2 to 4):

1. Collect the scored rows; no transaction is open while the model works. More than ``max_bytes`` are written in several
   transactions, each with its own mark, which bounds the worker's memory.
2. Take the partition's transactional id with a fresh producer. ``init_transactions`` gives it a new epoch: an earlier
   attempt that still lives is fenced, a transaction it left open is resolved. A producer is never used twice, because
   without KIP-890 in the client a delayed EndTxn could end a later transaction of the same producer.
3. Read the mark, only now, as no earlier attempt can move it any more. It says what is written already.
4. Send the rows above the mark to the input's partition number, then the mark, once as the group's offset and once to
   the progress topic, then commit.

A crash before the commit is aborted by the next attempt's step 2; one after it is found by step 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Producer

from streaming.delivery.outcome import Outcome
from streaming.delivery.producers import Identity, open_producer, spares
from streaming.delivery.transaction import ChunkTransaction
from streaming.delivery.worker import settle
from streaming.delivery.write_order import WritePlan
from streaming.errors import InvariantError, PenstockError, ScoringError
from streaming.offsets import OffsetRange

UNKNOWN_PARTITION = -1
"""The partition of an outcome whose task failed before it saw a row."""


def write_partition(
    plan: WritePlan,
    batches: Iterator[pa.RecordBatch],
    partition: int | None = None,
    counted: Callable[[], Outcome] = Outcome,
) -> Iterator[pa.RecordBatch]:
    """Write one task's rows and report the outcome as one row; an empty task reports nothing.

    If it is known before the first row comes which partition they are of, the producer opens meanwhile. ``counted``
    gives what was counted where the rows were made.

    A protocol error (fenced, gap, missing mark) is reported, not raised: trying the task again could not mend it. A
    broker's error is raised, so that Spark tries again and step 3 finds out what was written, and so is a model's.
    """
    settle()
    with ThreadPoolExecutor(1) as opener:
        task = _Task(plan, opener, partition)
        try:
            for batch in batches:
                if batch.num_rows:
                    task.take(batch)
            task.finish()
        except ScoringError:
            # Raised where the batches come from: the engine looks for the rows, and tries again without them.
            raise
        except PenstockError as problem:
            task.outcome = task.outcome.failed(type(problem).__name__, str(problem))
    task.outcome += counted()
    if task.partition is not None:
        yield task.outcome.to_arrow(task.partition)
    elif task.outcome.error:
        # What failed before the first row failed for the batch, whose partitions the driver knows.
        yield task.outcome.to_arrow(UNKNOWN_PARTITION)


class _Task:
    """Rows as they arrive, cut into chunks; the producer of the chunk under way opens while Spark still scores it."""

    def __init__(self, plan: WritePlan, opener: ThreadPoolExecutor, partition: int | None) -> None:
        self._plan = plan
        self._opener = opener
        self._opening = None if partition is None else self._open(partition)
        self._chunk: list[pa.RecordBatch] = []
        self._size = 0
        self._expected = partition
        self.partition: int | None = None
        self.outcome = Outcome()

    def take(self, batch: pa.RecordBatch) -> None:
        """Keep a batch, and write what is kept once it is too much."""
        self.partition = _only_partition(batch, self._expected if self.partition is None else self.partition)
        _require_planned(batch, self._plan.ranges[self.partition])
        if self._opening is None:
            self._opening = self._open(self.partition)
        self._chunk.append(batch)
        self._size += batch.nbytes
        if self._size >= self._plan.limits.max_bytes:
            self._write(self.partition, int(batch.column("offset")[-1].as_py()) + 1)

    def finish(self) -> None:
        """Write what is left; the mark goes to the range's end, beyond which nothing was there to read."""
        if self.partition is not None:
            self._write(self.partition, self._plan.ranges[self.partition].end)

    def _write(self, partition: int, end: int) -> None:
        self._plan.failpoints.reach("writer.collected")
        opening = self._opening or self._open(partition)
        self.outcome += ChunkTransaction(self._plan, partition, self._chunk, end).run(opening)
        self._opening, self._chunk, self._size = None, [], 0
        spares().replace(self._identity(partition), opening)

    def _open(self, partition: int) -> Future[Producer]:
        return self._opener.submit(open_producer, self._identity(partition))

    def _identity(self, partition: int) -> Identity:
        return Identity.of(self._plan.client, self._plan.writer, self._plan.limits, partition)


def _only_partition(batch: pa.RecordBatch, expected: int | None) -> int:
    """Return the batch's one partition; rows of another one would go into the wrong transaction."""
    partitions = pc.unique(batch.column("partition")).to_pylist()
    if len(partitions) > 1 or expected not in (None, partitions[0]):
        held = sorted({*partitions, *({expected} if expected is not None else ())})
        raise RuntimeError(f"one task holds the partitions {', '.join(map(str, held))}; is minPartitions set?")
    return int(partitions[0])


def _require_planned(batch: pa.RecordBatch, part: OffsetRange) -> None:
    """Refuse rows outside of the plan's range: they belong to another batch, and would be counted for this one."""
    first, last = (int(batch.column("offset")[at].as_py()) for at in (0, batch.num_rows - 1))
    if first < part.start or last >= part.end:
        raise InvariantError(f"rows {first} to {last} are not in the planned range {part.start} to {part.end - 1}")
