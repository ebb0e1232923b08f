"""The transactional writer: one input partition's output of one batch, and the mark, in one Kafka transaction.

It runs in a Spark task (``mapInArrow``), so everything it needs travels in a :class:`WritePlan`. The protocol, whose
order is what makes it exactly once:

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

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streaming.delivery.marks import Mark, Standing, standing
from streaming.delivery.outcome import Outcome, count_ages, count_arms, count_lookups
from streaming.delivery.producers import CALL_TIMEOUT, Identity, open_producer, patiently, spares
from streaming.delivery.progress import progress_record
from streaming.delivery.worker import settle
from streaming.delivery.write_order import WritePlan
from streaming.errors import InvariantError, PenstockError, ScoringError
from streaming.offsets import OffsetRange
from streaming.outputs.records import Record, records

_QUEUE_FULL_PAUSE = 0.05
UNKNOWN_PARTITION = -1
"""The partition of an outcome whose task failed before it saw a row."""
_NOW = 0
"""As a record's timestamp: the client's clock."""
FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
"""What the broker says to a producer whose transactional id somebody else has taken."""


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
        self.outcome += _Transaction(self._plan, partition, self._chunk, end).run(opening)
        self._opening, self._chunk, self._size = None, [], 0
        spares().replace(self._identity(partition), opening)

    def _open(self, partition: int) -> Future[Producer]:
        return self._opener.submit(open_producer, self._identity(partition))

    def _identity(self, partition: int) -> Identity:
        return Identity.of(self._plan.client, self._plan.writer, self._plan.limits, partition)


def _only_partition(batch: pa.RecordBatch, known: int | None) -> int:
    """One task is one input partition; anything else would put rows into another partition's transaction."""
    partitions = pc.unique(batch.column("partition")).to_pylist()
    if len(partitions) > 1 or known not in (None, partitions[0]):
        held = sorted({*partitions, *({known} if known is not None else ())})
        raise RuntimeError(f"one task holds the partitions {', '.join(map(str, held))}; is minPartitions set?")
    return int(partitions[0])


def _require_planned(batch: pa.RecordBatch, part: OffsetRange) -> None:
    """What is not in the plan's range belongs to another batch: written, it would be counted for this one."""
    first, last = (int(batch.column("offset")[at].as_py()) for at in (0, batch.num_rows - 1))
    if first < part.start or last >= part.end:
        raise InvariantError(f"rows {first} to {last} are not in the planned range {part.start} to {part.end - 1}")


class _Transaction:
    """One chunk's way through steps 2 to 4."""

    def __init__(self, plan: WritePlan, partition: int, chunk: list[pa.RecordBatch], end: int) -> None:
        self._plan = plan
        self._partition = partition
        self._chunk = chunk
        self._part = OffsetRange(plan.ranges[partition].start, end)
        self._phases: dict[str, float] = {}
        self._since = time.monotonic()

    def run(self, opening: Future[Producer]) -> Outcome:
        producer = opening.result()
        self._reached("opened")
        self._lap("init")
        mark = self._read_mark()
        self._reached("mark_read")
        # Against the batch's own start, on purpose: a mark further on, left by an earlier chunk, is no gap.
        if standing(mark, self._part, self._plan.writer, self._partition) is Standing.ALREADY_WRITTEN or mark is None:
            return self._nothing_to_do(mark)
        try:
            return self._write(producer, mark)
        except KafkaException as problem:
            if not self._is_fenced(producer, problem.args[0]):
                raise
            # By another attempt at the same range, perhaps: if it has finished, so have we.
            mark = self._read_mark()
            if standing(mark, self._part, self._plan.writer, self._partition) is Standing.TO_WRITE:
                raise
            return self._nothing_to_do(mark) + Outcome(fenced=1)

    def _nothing_to_do(self, mark: Mark | None) -> Outcome:
        segments = self._earlier(mark) if mark else {}
        return Outcome(skipped=self._rows, segments=segments, phases=self._phases)

    def _write(self, producer: Producer, mark: Mark) -> Outcome:
        plan = self._plan
        producer.begin_transaction()
        self._reached("began")
        since = mark.since if mark.plan == plan.plan else mark.offset
        sent = Outcome(segments={**self._earlier(mark), plan.plan: (since, self._part.end)})
        for batch in self._chunk:
            sent += self._send(producer, batch, mark.offset)
        done = Mark.at(self._part.end, plan.writer, plan.plan, since)
        key, value = progress_record(done, plan.writer.topic, self._partition)
        progress = plan.targets.progress
        _produce(producer, (progress.topic, self._partition % progress.partitions, key, value, _NOW, [], ""))
        self._reached("produced")
        self._lap("produce")
        position = TopicPartition(plan.writer.topic, self._partition, done.offset, done.metadata)
        group = self._consumer.consumer_group_metadata()
        patiently(lambda: producer.send_offsets_to_transaction([position], group, CALL_TIMEOUT))
        self._reached("offsets_sent")
        patiently(lambda: producer.commit_transaction(CALL_TIMEOUT))
        self._reached("committed")
        self._lap("commit")
        ages = count_ages(self._chunk, mark.offset, time.time() * 1000)
        return sent + ages + Outcome(skipped=self._rows - sent.rows, transactions=1, phases=self._phases)

    def _earlier(self, mark: Mark) -> dict[str, tuple[int, int]]:
        """Return what an earlier plan wrote of this batch, as far as its mark tells."""
        start, end = max(mark.since, self._part.start), min(mark.offset, self._part.end)
        return {mark.plan: (start, end)} if mark.plan and mark.since >= 0 and start < end else {}

    def _reached(self, step: str) -> None:
        self._plan.failpoints.reach(f"writer.{step}")

    def _send(self, producer: Producer, batch: pa.RecordBatch, mark: int) -> Outcome:
        letters: dict[str, int] = {}
        number = 0
        for record in records(batch, mark, self._plan, self._partition, int(time.time() * 1000)):
            number += 1
            if reason := record[-1]:
                letters[reason] = letters.get(reason, 0) + 1
            _produce(producer, record)
        producer.poll(0)
        arms = count_arms(batch, mark, self._plan.counted_as) if self._plan.others else {}
        lookups = count_lookups(batch, mark) if self._plan.lookup else {}
        predictions = number - sum(letters.values())
        degraded = self._plan.degraded(predictions, arms)
        return Outcome(predictions, letters, arms=arms, degraded=degraded, lookups=lookups)

    def _is_fenced(self, producer: Producer, error: KafkaError) -> bool:
        """Abort where asked to, so that no reader waits for the time-out, and say whether we are fenced."""
        if error.txn_requires_abort():
            with suppress(KafkaException):
                producer.abort_transaction(CALL_TIMEOUT)
        fenced = error.code() in FENCED
        if fenced:
            _say("transaction fenced", self._plan, self._partition, error.str())
        return fenced

    @property
    def _rows(self) -> int:
        return sum(int(batch.num_rows) for batch in self._chunk)

    @property
    def _consumer(self) -> Consumer:
        return _mark_reader(self._plan)

    def _read_mark(self) -> Mark | None:
        position = TopicPartition(self._plan.writer.topic, self._partition)
        answer = self._consumer.committed([position], timeout=CALL_TIMEOUT)[0]
        self._lap("mark")
        if answer.error is not None:
            raise KafkaException(answer.error)
        return Mark.read(answer.offset, answer.metadata) if answer.offset >= 0 else None

    def _lap(self, phase: str) -> None:
        now = time.monotonic()
        self._phases[phase] = self._phases.get(phase, 0.0) + now - self._since
        self._since = now


def _produce(producer: Producer, record: Record) -> None:
    """Send, waiting while the client's queue is full."""
    topic, partition, key, value, timestamp, headers, _ = record
    while True:
        try:
            producer.produce(topic, value, key, partition, timestamp=timestamp, headers=headers)
        except BufferError:
            producer.poll(_QUEUE_FULL_PAUSE)
        else:
            return


def _say(event: str, plan: WritePlan, partition: int, detail: str) -> None:
    """Write one line to the executor's log; the job's own logging is the driver's."""
    where = {"application": plan.writer.application, "topic": plan.writer.topic, "partition": partition}
    line = {"event": event, "level": "warning", **where, "epoch": plan.writer.epoch, "plan": plan.plan}
    sys.stderr.write(json.dumps({**line, "detail": detail}) + "\n")
    sys.stderr.flush()


_readers: dict[str, Consumer] = {}


def _mark_reader(plan: WritePlan) -> Consumer:
    """Return this worker process's consumer for reading marks; it never subscribes, so reuse is safe and quick."""
    group = plan.writer.application
    if group not in _readers:
        # read_committed makes the broker wait for a pending transaction instead of answering with an old mark.
        own = {"group.id": group, "enable.auto.commit": "false", "isolation.level": "read_committed"}
        _readers[group] = Consumer({**plan.client, **own})
    return _readers[group]
