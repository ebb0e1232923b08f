"""Putting a mark where no batch would put it: back, when Kafka has forgotten it, or behind records that are gone.

It is done under the partition's own transactional id, as a task would: the id fences every task that has it, and the
mark is read again after that. If it is not the one the decision was taken on, nothing is done. The ledger's record, the
progress record and the mark are one transaction.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException

from streaming.adapters.kafka.ledger import LedgerTopics
from streaming.adapters.kafka.marks import Change, MarkStore, Note, progress_note
from streaming.clock import Clock, isoformat
from streaming.engines.start import Move


@dataclass(frozen=True)
class MarkMover:
    """Moves marks of the writer of ``store``."""

    store: MarkStore
    topics: LedgerTopics
    clock: Clock

    def move(self, move: Move) -> bool:
        """Make the move; return false if the mark had moved meanwhile or the broker refused: then decide again."""
        with suppress(KafkaException):
            return self.store.change(move.partition, lambda mark: self._change(move) if mark == move.was else None)
        return False

    def _change(self, move: Move) -> Change:
        writer = self.store.writer
        ledger = Note(self.topics.ledger, writer.application, json.dumps(self._record(move)))
        return Change(move.now, (ledger, progress_note(move.now, writer.topic, move.partition, self.topics.progress)))

    def _record(self, move: Move) -> dict[str, Any]:
        """Return the ledger's record, a start or a skip."""
        writer, partition = self.store.writer, str(move.partition)
        where = {"application": writer.application, "topic": writer.topic, "topic_id": writer.topic_id}
        when = {"reason": move.reason, "at": isoformat(self.clock())}
        if move.gap is None:
            return {"type": "start", **where, "starts": {partition: move.now.offset}, "restored": True, **when}
        gaps = {partition: [move.gap.start, move.gap.end]}
        return {"type": "skip", **where, "gaps": gaps, "actor": "input.on_gap", **when}
