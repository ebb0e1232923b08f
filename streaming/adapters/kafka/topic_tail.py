"""A topic followed while it grows, all its partitions: it joins no group and commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import Message

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.growing import GrowingTopic
from streaming.adapters.kafka.log import KafkaLog

Starts = Callable[[], Mapping[int, int]]
"""Partition to the offset to begin at; a partition that is left out begins with its oldest record."""
_AT_ONCE = 1_000


def _from_the_oldest() -> Mapping[int, int]:
    return {}


class TopicTail:
    """Its committed records, each once. A topic that is not there yet has none."""

    def __init__(self, kafka: Mapping[str, str], topic: str, starts: Starts = _from_the_oldest) -> None:
        """Connect to nothing yet; ``starts`` is asked when the first record is."""
        self._log = KafkaLog(client_config(kafka), topic)
        self._growing = GrowingTopic(kafka, topic)
        self._starts = starts
        self._next: dict[int, int] | None = None

    def fresh(self) -> Iterator[Message]:
        """Yield what was not yielded before: at first and after a failure to the present end, then what has come.

        Raises:
            ConfigurationError: the broker refuses us.
            BrokerUnavailableError: it does not answer.
        """
        if not self._growing.is_open:
            yield from self._to_end()
            return
        while messages := self._growing.take(_AT_ONCE):
            for message in messages:
                yield self._taken(message)

    def lag(self) -> int:
        """Return how many offsets lie between what was yielded and the end, as far as the client has heard of it.

        The mark of a transaction takes an offset, so it may be one for each partition where nothing is to come.
        """
        position = self._next or {}
        return sum(max(0, end - position.get(partition, 0)) for partition, end in self._growing.ends())

    def close(self) -> None:
        """Let go of the broker; reading may go on."""
        self._growing.close()

    def _to_end(self) -> Iterator[Message]:
        bounds = self._log.bounds()
        if not bounds:
            return
        if self._next is None:
            self._next = dict(self._starts())
        for message in self._log.read(self._next, bounds):
            yield self._taken(message)
        self._growing.open({partition: self._next.get(partition, first) for partition, (first, _) in bounds.items()})

    def _taken(self, message: Message) -> Message:
        if self._next is not None:
            self._next[message.partition() or 0] = (message.offset() or 0) + 1
        return message
