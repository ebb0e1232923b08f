"""Taking the partitions over from an earlier driver, so that its workers can commit nothing any more, awake or not.

The lease alone stops an earlier driver. A task that it had started could still finish one transaction: it holds the
partition's transactional id, and the mark it read had no younger epoch. A claim is the writer's own protocol without
rows: take the id, which fences whoever has it, read the mark, and commit it where it is, with our epoch. Whoever reads
it later refuses himself; whoever takes the id in between fences us, and we begin again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streaming.adapters.kafka_marks import read_marks
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.plan import Limits
from streaming.delivery.writer import open_producer, patiently
from streaming.errors import BrokerUnavailableError

_TIMEOUT = 30.0
_ATTEMPTS = 7
_PAUSE = 0.1
_AT_ONCE = 8


@dataclass(frozen=True)
class Claim:
    """Claims partitions for ``writer``. ``client`` is librdkafka's configuration and may hold secrets."""

    client: dict[str, str]
    writer: Writer
    limits: Limits

    def partitions(self, partitions: Iterable[int]) -> None:
        """Claim partitions; one without a mark of this application on this topic is left alone.

        Raises:
            BrokerUnavailableError: the broker did not answer, or somebody else kept taking a partition back.
        """
        with ThreadPoolExecutor(_AT_ONCE) as several:
            list(several.map(self._claim, partitions))

    def _claim(self, partition: int) -> None:
        problem: KafkaException | None = None
        for attempt in range(_ATTEMPTS):
            try:
                return self._try(partition)
            except KafkaException as again:
                problem = again
                time.sleep(_PAUSE * 2**attempt)
        why = problem.args[0].str() if problem else ""
        raise BrokerUnavailableError(
            f"partition {partition} of {self.writer.topic} could not be taken over from an earlier driver: {why}"
        ) from problem

    def _try(self, partition: int) -> None:
        producer = open_producer(self.client, self.writer, self.limits, partition)
        own = {"group.id": self.writer.application, "enable.auto.commit": "false", "isolation.level": "read_committed"}
        with closing(Consumer({**self.client, **own})) as group:
            mark = read_marks(group, self.writer.topic, [partition], _TIMEOUT).get(partition)
            if mark is None or not self._is_older(mark):
                return
            metadata = replace(mark, epoch=self.writer.epoch).metadata
            position = TopicPartition(self.writer.topic, partition, mark.offset, metadata)
            producer.begin_transaction()
            patiently(
                lambda: producer.send_offsets_to_transaction([position], group.consumer_group_metadata(), _TIMEOUT)
            )
            patiently(lambda: producer.commit_transaction(_TIMEOUT))

    def _is_older(self, mark: Mark) -> bool:
        writer = self.writer
        ours = mark.application == writer.application and mark.topic_id == writer.topic_id
        return ours and mark.epoch < writer.epoch
