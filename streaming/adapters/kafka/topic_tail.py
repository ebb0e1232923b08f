"""A topic followed while it grows, all its partitions: it joins no group and commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import Consumer, Message, TopicPartition

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.refusals import Complaints, opened
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import BrokerUnavailableError

Starts = Callable[[], Mapping[int, int]]
"""Partition to the offset to begin at; a partition that is left out begins with its oldest record."""
_AT_ONCE = 1_000


def _from_the_oldest() -> Mapping[int, int]:
    return {}


class TopicTail:
    """Its committed records, each once. A topic that is not there yet has none."""

    def __init__(self, kafka: Mapping[str, str], topic: str, starts: Starts = _from_the_oldest) -> None:
        """Connect to nothing yet; ``starts`` is asked when the first record is."""
        self._kafka = dict(kafka)
        self._topic = topic
        self._starts = starts
        self._next: dict[int, int] | None = None
        self._consumer: Consumer | None = None
        self._complaints = Complaints(kafka)

    def fresh(self) -> Iterator[Message]:
        """Yield what was not yielded before: at first and after a failure to the present end, then what has come.

        Raises:
            ConfigurationError: the broker refuses us.
            BrokerUnavailableError: it does not answer.
        """
        if self._consumer is None:
            yield from self._to_end()
            return
        while messages := self._consumer.consume(_AT_ONCE, 0.0):
            for message in messages:
                if (error := message.error()) is not None:
                    self.close()
                    rights = Rights(topic=f"READ on topic {self._topic}")
                    raise refusal(error, self._kafka, rights) or BrokerUnavailableError(
                        f"topic {self._topic!r} cannot be followed: {error.str()}"
                    )
                yield self._taken(message)
        self._complaints.check()

    def lag(self) -> int:
        """Return how many offsets lie between what was yielded and the end, as far as the client has heard of it.

        The mark of a transaction takes an offset, so it may be one for each partition where nothing is to come.
        """
        if self._consumer is None:
            return 0
        lag = 0
        for part in self._consumer.assignment():
            _, end = self._consumer.get_watermark_offsets(part, cached=True)
            # Before the first answer of the broker the client has no end, and says -1001.
            lag += max(0, end - (self._next or {}).get(part.partition, 0)) if end >= 0 else 0
        return lag

    def close(self) -> None:
        """Let go of the broker; reading may go on."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _to_end(self) -> Iterator[Message]:
        log = KafkaLog(client_config(self._kafka), self._topic)
        if not log.bounds():
            return
        if self._next is None:
            self._next = dict(self._starts())
        for message in log.read(self._next):
            yield self._taken(message)
        self._follow(log)

    def _follow(self, log: KafkaLog) -> None:
        own = {"group.id": f"{self._topic}.log", "enable.auto.commit": "false", "auto.offset.reset": "earliest"}
        config = {**client_config(self._kafka), **own, "isolation.level": "read_committed"}
        self._consumer = opened(Consumer, self._complaints.settings(config))
        position = self._next or {}
        parts = [TopicPartition(self._topic, p, position.get(p, first)) for p, (first, _) in log.bounds().items()]
        self._consumer.assign(parts)

    def _taken(self, message: Message) -> Message:
        if self._next is not None:
            self._next[message.partition() or 0] = (message.offset() or 0) + 1
        return message
