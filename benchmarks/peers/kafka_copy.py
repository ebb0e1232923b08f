"""The physical limit of Kafka from Python: confluent-kafka copies a topic, record by record, and does nothing else."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, Message, Producer

from benchmarks.peers.task import Task, given_task

COMMIT_SECONDS = 1.0
TRANSACTION_SECONDS = 0.02
"""Our choice; no page advises one."""


def main(task: Task) -> None:
    """Copy until the process is ended."""
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.name,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([task.source])
    if task.exactly_once:
        copy_in_transactions(task, consumer, producer(task, **{"transactional.id": task.name}))
    else:
        copy(task, consumer, producer(task))


def producer(task: Task, **more: Any) -> Producer:
    """Return a producer that sends at once."""
    # librdkafka, INTRODUCTION.md, "Low latency": linger.ms=0. Under load it batches what has queued up meanwhile.
    return Producer({"bootstrap.servers": task.bootstrap, "linger.ms": 0, **more})


def copy(task: Task, consumer: Consumer, out: Producer) -> None:
    """At least once: offsets are committed each second, after all that was read has been delivered."""
    due = time.monotonic() + COMMIT_SECONDS
    copied = 0
    while True:
        message = consumer.poll(0.1)
        if message is not None:
            pass_on(task, message, out)
            copied += 1
        if copied and time.monotonic() >= due:
            out.flush()
            consumer.commit(asynchronous=False)
            copied, due = 0, time.monotonic() + COMMIT_SECONDS


def copy_in_transactions(task: Task, consumer: Consumer, out: Producer) -> None:
    """Exactly once: a transaction opens with the first record and is committed, with the offsets, a moment later."""
    out.init_transactions()
    while True:
        message = consumer.poll(0.1)
        if message is None:
            continue
        out.begin_transaction()
        due = time.monotonic() + TRANSACTION_SECONDS
        while (remaining := due - time.monotonic()) > 0:
            if message is not None:
                pass_on(task, message, out)
            message = consumer.poll(remaining)
        if message is not None:
            pass_on(task, message, out)
        out.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
        out.commit_transaction()


def pass_on(task: Task, message: Message, out: Producer) -> None:
    """Produce a record as it came, waiting while the producer's queue is full."""
    if (error := message.error()) is not None:
        raise RuntimeError(str(error))
    while True:
        try:
            out.produce(task.sink, message.value(), message.key(), message.partition() or 0)
        except BufferError:
            out.poll(0.1)
        else:
            out.poll(0)
            return


if __name__ == "__main__":
    main(given_task())
