"""Putting a mark where no batch would put it: back, when Kafka has forgotten it, or behind records that are gone.

It is done under the partition's own transactional id, as a task would: the id fences every task that has it, and the
mark is read again after that. If it is not the one the decision was taken on, nothing is done. The ledger's record, the
progress record and the mark are one transaction.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streaming.adapters.kafka_ledger import LedgerTopics
from streaming.adapters.kafka_marks import read_marks
from streaming.clock import Clock, isoformat
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.plan import Limits
from streaming.delivery.progress import progress_record
from streaming.delivery.writer import open_producer, patiently
from streaming.engines.start import Move

_TIMEOUT = 30.0


@dataclass(frozen=True)
class MarkMover:
    """Moves marks of ``writer``. ``client`` is librdkafka's configuration and may hold secrets."""

    client: dict[str, str]
    writer: Writer
    limits: Limits
    topics: LedgerTopics
    clock: Clock

    def move(self, move: Move) -> bool:
        """Make the move; false where the mark had moved by itself, or the broker refused: then decide again."""
        try:
            producer = open_producer(self.client, self.writer, self.limits, move.partition)
            with closing(self._group()) as group:
                if self._mark(group, move.partition) != move.was:
                    return False
                self._write(producer, group, move)
        except KafkaException:
            return False
        return True

    def _group(self) -> Consumer:
        own = {"group.id": self.writer.application, "enable.auto.commit": "false", "isolation.level": "read_committed"}
        return Consumer({**self.client, **own})

    def _mark(self, group: Consumer, partition: int) -> Mark | None:
        return read_marks(group, self.writer.topic, [partition], _TIMEOUT).get(partition)

    def _write(self, producer: Producer, group: Consumer, move: Move) -> None:
        source, progress = self.writer.topic, self.topics.progress
        key, value = progress_record(move.now, source, move.partition)
        position = TopicPartition(source, move.partition, move.now.offset, move.now.metadata)
        producer.begin_transaction()
        producer.produce(self.topics.ledger, json.dumps(self._record(move)), self.writer.application)
        producer.produce(progress.topic, value, key, move.partition % progress.partitions)
        patiently(lambda: producer.send_offsets_to_transaction([position], group.consumer_group_metadata(), _TIMEOUT))
        patiently(lambda: producer.commit_transaction(_TIMEOUT))

    def _record(self, move: Move) -> dict[str, Any]:
        """Return the ledger's record, a start or a skip."""
        writer, partition = self.writer, str(move.partition)
        where = {"application": writer.application, "topic": writer.topic, "topic_id": writer.topic_id}
        when = {"reason": move.reason, "at": isoformat(self.clock())}
        if move.gap is None:
            return {"type": "start", **where, "starts": {partition: move.now.offset}, "restored": True, **when}
        gaps = {partition: [move.gap.start, move.gap.end]}
        return {"type": "skip", **where, "gaps": gaps, "actor": "input.on_gap", **when}
