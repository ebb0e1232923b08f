"""One Kafka transaction: a chunk of one partition's output, and its mark. The writer says why in this order."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import Future
from contextlib import suppress

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streaming.delivery.marks import Mark, Standing, standing
from streaming.delivery.outcome import Outcome, count_ages, count_arms, count_lookups
from streaming.delivery.producers import CALL_TIMEOUT, QUEUE_FULL_SECONDS, patiently
from streaming.delivery.progress import progress_record
from streaming.delivery.write_order import WritePlan
from streaming.offsets import OffsetRange
from streaming.outputs.records import Record, records

_NOW = 0
"""As the timestamp of a record it means the client's clock."""
FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
"""What the broker says to a producer whose transactional id somebody else has taken."""


class ChunkTransaction:
    """One chunk's way through steps 2 to 4 of :mod:`streaming.delivery.writer`; it runs once."""

    def __init__(self, plan: WritePlan, partition: int, chunk: list[pa.RecordBatch], end: int) -> None:
        """Take rows of a partition, in the order of their offsets; ``end`` is where the mark goes."""
        self._plan = plan
        self._partition = partition
        self._chunk = chunk
        self._part = OffsetRange(plan.ranges[partition].start, end)
        self._phases: dict[str, float] = {}
        self._since = time.monotonic()

    def run(self, opening: Future[Producer]) -> Outcome:
        """Write what no earlier attempt has written, and return what came of the chunk.

        Raises:
            KafkaException: the broker does not answer, or refuses; whether it committed is not known.
            DataError: the mark is nowhere, not ours, or below the range.
            FencedError: a younger driver has written.
        """
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
        """Abort where asked to, so that no reader waits for the time-out, and say whether we may be fenced."""
        if error.txn_requires_abort():
            with suppress(KafkaException):
                producer.abort_transaction(CALL_TIMEOUT)
        # A producer that has heard of it before the next record is sent only says that it is of no use. The mark tells
        # whether we are fenced, and if we are not, the error is raised.
        fenced = error.code() in FENCED or error.code() == KafkaError._FATAL
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
            producer.poll(QUEUE_FULL_SECONDS)
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
