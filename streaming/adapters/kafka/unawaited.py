"""Records that are sent without waiting for the broker, each at most once, and counted by what has become of them.

There is no transaction and no mark: whoever sends them has no offset to go on from. The client sends each record until
the broker has it, or for :data:`_SECONDS`, and never twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.refusals import Complaints, opened, trouble
from streaming.delivery.producers import enqueue
from streaming.delivery.refusals import Rights

_SECONDS = 30.0
"""The longest that a record waits in the client for its broker."""
_PURGE_SECONDS = 1.0
_MOST_WAITING_KB = 16_384
SENDER = {
    "acks": "all",
    "enable.idempotence": "true",
    "compression.type": "lz4",
    "linger.ms": "20",
    "message.timeout.ms": str(round(_SECONDS * 1_000)),
    "message.max.bytes": "1000000000",  # the topic's limit is checked before, with a better answer
    "queue.buffering.max.kbytes": str(_MOST_WAITING_KB),
    # As Kafka's own clients do, so that an entity's answers stay in order, whoever sends them.
    "partitioner": "murmur2_random",
}


class UnawaitedSender:
    """A producer, for one thread."""

    def __init__(self, kafka: Mapping[str, str], topics: Sequence[str], count: Callable[[str, int], None]) -> None:
        """Open the client, which connects by itself.

        Args:
            kafka: Kafka's settings.
            topics: to which is sent.
            count: is told how many records were ``written`` or have ``failed``.

        Raises:
            ConfigurationError: the client does not take the settings.
        """
        self._kafka = kafka
        self._topics = " and ".join(topics)
        self._count = count
        self._refused: KafkaError | None = None
        self._has_written = False
        # Kept, as the client calls it.
        self._complaints = Complaints(kafka)
        self._producer = opened(Producer, self._complaints.settings({**SENDER, **client_config(kafka)}))

    def send(self, topic: str, value: Any, key: Any, **more: Any) -> None:
        """Hand a record over, as ``Producer.produce`` takes it; raises ``PenstockError`` if the client refuses it."""

        def produce() -> None:
            self._producer.produce(topic, value, key, on_delivery=self._delivered, **more)

        try:
            # While this waits, the sender's own queue fills, and drops what comes on top.
            enqueue(self._producer, produce)
        except KafkaException as problem:
            raise self._trouble(problem) from problem

    def look(self) -> bool:
        """Return whether some were written since the last look; raises ``PenstockError`` with why some were not."""
        self._producer.poll(0)
        refused, has_written = self._refused, self._has_written
        self._refused, self._has_written = None, False
        if refused is not None:
            raise self._trouble(KafkaException(refused))
        return has_written

    def close(self, seconds: float) -> None:
        """Wait up to ``seconds`` for what is on its way; what is not written then has failed."""
        self._producer.flush(seconds)
        self._producer.purge()
        self._producer.flush(_PURGE_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._count("written" if error is None else "failed", 1)
        self._refused = error or self._refused
        self._has_written |= error is None

    def _trouble(self, problem: KafkaException) -> Exception:
        rights = Rights(topic=f"WRITE on the topics {self._topics}")
        return trouble(problem, self._kafka, rights, f"the topics {self._topics} take no answers")
