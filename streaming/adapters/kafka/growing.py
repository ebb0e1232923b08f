"""What comes on a topic after given positions, for those who follow one: no group is joined and nothing committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.refusals import Complaints, opened
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import BrokerUnavailableError


class GrowingTopic:
    """Its new committed records, between :meth:`open` and :meth:`close`; either may be called again."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        """Connect to nothing yet."""
        self._kafka = dict(kafka)
        self._topic = topic
        self._complaints = Complaints(kafka)
        self._consumer: Consumer | None = None

    @property
    def is_open(self) -> bool:
        """True while it is followed."""
        return self._consumer is not None

    def open(self, positions: Mapping[int, int]) -> None:
        """Begin at these offsets of the partitions; raises ``ConfigurationError`` for settings that no client takes."""
        own = {"group.id": f"{self._topic}.log", "enable.auto.commit": "false", "auto.offset.reset": "earliest"}
        config = {**client_config(self._kafka), **own, "isolation.level": "read_committed"}
        self._consumer = opened(Consumer, self._complaints.settings(config))
        self._consumer.assign([TopicPartition(self._topic, *position) for position in positions.items()])

    def take(self, most: int, seconds: float = 0.0) -> list[Message]:
        """Return up to ``most`` records, after up to ``seconds`` if there are none.

        Raises:
            ConfigurationError: the broker refuses us.
            BrokerUnavailableError: it does not answer. The topic is closed then.
        """
        if self._consumer is None:
            return []
        first = self._consumer.poll(seconds)
        self._complaints.check()
        messages = [] if first is None else [first, *self._consumer.consume(most - 1, 0.0)]
        for message in messages:
            if (error := message.error()) is not None:
                self.close()
                raise self._failed(error)
        return messages

    def ends(self) -> Iterator[tuple[int, int]]:
        """Yield each partition and its end, as far as the client has heard of it by itself."""
        if self._consumer is None:
            return
        for part in self._consumer.assignment():
            _, end = self._consumer.get_watermark_offsets(part, cached=True)
            # Before the first answer of the broker the client has no end, and says -1001.
            if end >= 0:
                yield part.partition, end

    def close(self) -> None:
        """Let go of the broker."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _failed(self, error: KafkaError) -> Exception:
        return refusal(error, self._kafka, Rights(topic=f"READ on topic {self._topic}")) or BrokerUnavailableError(
            f"topic {self._topic!r} cannot be followed: {error.str()}"
        )
