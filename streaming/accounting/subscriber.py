"""An independent reader of predictions and dead letters: another client than the job's, and none of the job's code."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from schemas import dead_letter, prediction
from streaming.accounting.batch_arms import Answerer
from streaming.accounting.records import Place, ReadResult


class Subscriber:
    """Reads topics from their beginning, one record once, as far as is committed; waits for topics to be made."""

    def __init__(self, servers: str, *topics: str, isolation: str = "read_committed") -> None:
        """Connect, and read nothing yet."""
        self._consumer = KafkaConsumer(
            bootstrap_servers=servers,
            isolation_level=isolation,
            enable_auto_commit=False,
            group_id=None,
            max_poll_records=5_000,
            check_crcs=False,  # in pure Python this takes more time than everything else together
        )
        self._topics = topics
        self._partitions: list[TopicPartition] = []
        self.records: list[Any] = []
        """What :meth:`read` has had."""

    def poll(self, seconds: float = 0.2) -> list[Any]:
        """Return what has come, waiting for it at most so long."""
        if not self._assigned():
            time.sleep(seconds)
            return []
        fetched = self._consumer.poll(timeout_ms=int(seconds * 1000))
        return [record for records in fetched.values() for record in records]

    def read(self) -> list[Any]:
        """Return all there was so far; keeps it."""
        self.records += self.poll()
        return self.records

    def ends(self) -> dict[TopicPartition, int]:
        """Return how far the partitions can be read now; empty while a topic is missing."""
        return dict(self._consumer.end_offsets(self._partitions)) if self._assigned() else {}

    def to_the_end(self) -> Iterator[Any]:
        """Yield all that can be read now."""
        ends = self.ends()
        # Beyond the last record there may be markers, which a consumer passes without showing them.
        while any(self._consumer.position(part) < end for part, end in ends.items()):
            yield from self.poll()

    def _assigned(self) -> bool:
        if not self._partitions:
            numbers = {topic: self._consumer.partitions_for_topic(topic) for topic in self._topics}
            if not all(numbers.values()):
                return False
            self._partitions = [TopicPartition(topic, n) for topic, ns in numbers.items() for n in sorted(ns)]
            self._consumer.assign(self._partitions)
            self._consumer.seek_to_beginning(*self._partitions)
        return True

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()


def results_of(records: Iterable[Any]) -> list[ReadResult]:
    """Return what a job answered; corrections of answers, which somebody published later, are left out."""
    return [result_of(record) for record in records if prediction.CORRECTS not in dict(record.headers)]


def result_of(record: Any) -> ReadResult:
    """Return what a prediction or a dead letter says, by its own headers."""
    headers = dict(record.headers)
    at, key = (record.partition, record.offset), (record.key or b"").decode(errors="replace")
    # A dead letter also has the headers of its event, which may be somebody's prediction.
    if dead_letter.ERROR_PARTITION in headers:
        source = _place(headers, dead_letter.ERROR_PARTITION, dead_letter.ERROR_OFFSET)
        rejecter = Answerer(int(headers[dead_letter.MODEL_VERSION]))
        reason = headers.get(dead_letter.REASON, b"").decode()
        return ReadResult(place=source, at=at, key=key, by=rejecter, value=None, reason=reason)
    source = _place(headers, prediction.SOURCE_PARTITION, prediction.SOURCE_OFFSET)
    return ReadResult(place=source, at=at, key=key, by=_answerer(headers), value=json.loads(record.value))


def _answerer(headers: Mapping[str, bytes]) -> Answerer:
    role, rollout = (headers.get(name, b"").decode() for name in (prediction.ROLE, prediction.ROLLOUT))
    epoch = headers.get(prediction.WEIGHT_EPOCH)
    return Answerer(int(headers[prediction.MODEL_VERSION]), role, rollout, None if epoch is None else int(epoch))


def _place(headers: Mapping[str, bytes], partition: str, offset: str) -> Place:
    return int(headers[partition]), int(headers[offset])
