"""News on a topic, model events and drift alerts: keyed by model so that one model's stay in order, or by one key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.delivery.refusals import Rights, refusal
from streaming.sinks import News

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_CLOSE_SECONDS = 5.0


class KafkaNews:
    """Implements :class:`streaming.sinks.Sink`. Sending never waits for the broker."""

    def __init__(self, kafka: Mapping[str, str], topic: str, key: str | None = None) -> None:
        """Take ``key`` for every record, as the ledger's are keyed by application; ``None``: the model it is about."""
        self._topic = topic
        self._key = key
        self._kafka = dict(kafka)
        self._is_refused = False
        self._producer = Producer({**client_config(kafka), "acks": "all", "enable.idempotence": "true"})

    def send(self, news: News, /) -> None:
        """Hand it to the client, which sends in order and tries again while the broker is away."""
        key = self._key or str(news.to_dict()["model"])
        try:
            self._producer.produce(self._topic, news.to_json(), key, on_delivery=self._delivered)
        except KafkaException as problem:  # what the client was refused before, it does not even send
            self._delivered(problem.args[0], None)
        self._producer.poll(0)

    def close(self) -> None:
        """Give what is still under way a few seconds."""
        self._producer.flush(_CLOSE_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message | None) -> None:
        """Log what is lost; a right that is missing once, for all that is lost until it is granted."""
        refused = refusal(error, self._kafka, Rights(f"WRITE on topic {self._topic}")) if error is not None else None
        was_refused, self._is_refused = self._is_refused, refused is not None
        if error is not None and not (self._is_refused and was_refused):
            _log.error("event_lost", topic=self._topic, problem=str(refused or error.str()))


def read_model_events(kafka: Mapping[str, str], topic: str) -> Iterator[dict[str, Any]]:
    """Yield every model event on the topic, oldest first; raises ``BrokerUnavailableError``."""
    for message in KafkaLog(client_config(kafka), topic).read():
        yield json.loads(message.value() or b"{}")
