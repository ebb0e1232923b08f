"""An independent reader of predictions and dead letters: kafka-python, read_committed, no Penstock code on its path."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from jobs.demo.results import Seen

_POLL_MS = 100
_IDLE_POLLS = 15


class Subscriber:
    """Reads both topics from their beginning until ``stop`` is set and nothing more arrives, or until ``abandon``."""

    def __init__(self, bootstrap_servers: str, predictions: str, dead_letters: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._predictions = predictions
        self._dead_letters = dead_letters
        self.predictions: list[Seen] = []
        self.dead: list[tuple[int, int]] = []
        self.reasons: Counter[str] = Counter()
        self.first_read: dict[int, float] = {}
        self.stop = threading.Event()
        self.abandon = threading.Event()

    @property
    def count(self) -> int:
        """How many records were read so far."""
        return len(self.predictions) + len(self.dead)

    def follow(self) -> None:
        """Read; runs in a thread of its own."""
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_records=5_000,
            check_crcs=False,  # in pure Python this takes more time than everything else together
        )
        try:
            topics = (self._predictions, self._dead_letters)
            consumer.assign([TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()])
            idle = 0
            while idle < _IDLE_POLLS and not self.abandon.is_set():
                fetched = consumer.poll(timeout_ms=_POLL_MS)
                self._take(fetched)
                idle = idle + 1 if self.stop.is_set() and not fetched else 0
        finally:
            consumer.close()

    def _take(self, fetched: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        now = time.time()
        for partition, records in fetched.items():
            for record in records:
                if partition.topic == self._predictions:
                    self._prediction(record, now)
                else:
                    self._dead_letter(record)

    def _prediction(self, record: ConsumerRecord, now: float) -> None:
        headers = dict(record.headers)
        position = int(headers["penstock-source-partition"]), int(headers["penstock-source-offset"])
        version = int(headers["penstock-model-version"])
        value = json.loads(record.value)
        self.first_read.setdefault(version, now)
        late = value["probability"][1]
        self.predictions.append(Seen(position, now, version, value["event_id"], value["prediction"], late))

    def _dead_letter(self, record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        self.dead.append((int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"])))
        self.reasons[headers["penstock-reason"].decode()] += 1
