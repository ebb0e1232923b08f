"""The progress topic, read: the newest mark of each partition."""

from __future__ import annotations

from collections.abc import Mapping

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.delivery.marks import Mark
from streaming.delivery.progress import newest_marks


def saved_marks(kafka: Mapping[str, str], progress: str, application: str, topic: str) -> dict[int, Mark]:
    """Return the marks of an application on an input topic as the topic ``progress`` has them.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    messages = KafkaLog(client_config(kafka), progress).read()
    return newest_marks(((message.key(), message.value()) for message in messages), application, topic)
