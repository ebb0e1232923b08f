"""Knowing when a record comes, by a fetch that the broker answers only then."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Consumer, TopicPartition

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.refusals import opened
from streaming.errors import PenstockError

_OWN = {
    "enable.auto.commit": "false",
    "isolation.level": "read_committed",  # a record of an open transaction has not come yet
    "fetch.wait.max.ms": "1000",
    "fetch.message.max.bytes": "1024",  # a bound in messages (queued.min.messages) delays a fetch
}


class KafkaNewcomers:
    """Implements :class:`streaming.engines.rest.Newcomers` for one topic."""

    def __init__(self, kafka: Mapping[str, str], admin: KafkaAdmin, topic: str, group: str) -> None:
        """Connect when it is first needed; nothing is ever committed for ``group``."""
        self._config = {**client_config(kafka), **_OWN, "group.id": group}
        self._admin = admin
        self._topic = topic
        self._consumer: Consumer | None = None

    def watch(self) -> bool:
        """Begin at the topic's present ends; false where they are not to be had, which is for the query to find out."""
        try:
            partitions = range(self._admin.required_topic(self._topic).partitions)
            ends = self._admin.offsets(self._topic, partitions, "stable")
        except PenstockError:
            return False
        if self._consumer is None:
            self._consumer = opened(Consumer, self._config)
        self._consumer.assign([TopicPartition(self._topic, partition, end) for partition, end in ends.items()])
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until a record has come, at most so long; also true after an error."""
        return self._consumer is None or self._consumer.poll(seconds) is not None

    def leave(self) -> None:
        """Fetch no more."""
        if self._consumer is not None:
            self._consumer.unassign()

    def close(self) -> None:
        """Let go of the broker."""
        if self._consumer is not None:
            self._consumer.close()
