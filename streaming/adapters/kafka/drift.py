"""Drift records on their topic, keyed by model so that one model's windows stay in order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.drift import StatisticRecord, SummaryRecord, read_summary
from schemas.drift_alert import TYPE as ALERT_TYPE
from schemas.drift_alert import DriftAlert
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.delivery.producers import enqueue
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import BrokerUnavailableError

_FLUSH_SECONDS = 60.0


class KafkaDriftSink:
    """Implements :class:`streaming.drift.monitor.DriftSink`: at least once, and what is sent again has the same id."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        self._topic = topic
        self._kafka = dict(kafka)
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {**client_config(kafka), "acks": "all", "enable.idempotence": "true", "linger.ms": "20"}
        )

    def publish(self, statistics: Iterable[StatisticRecord], summary: SummaryRecord) -> None:
        """Hand a window's records to the client, the summary last: who has it has the window whole."""
        for record in statistics:
            self._send(record.to_json(), summary.window.model)
        self._send(summary.to_json(), summary.window.model)

    def flush(self) -> None:
        """Wait until all is stored.

        Raises:
            ConfigurationError: the broker refuses the right to write.
            BrokerUnavailableError: it is not after a minute, or the broker refused a record.
        """
        waiting = self._producer.flush(_FLUSH_SECONDS)
        failed, self._failed = self._failed, None
        if failed is not None and (refused := refusal(failed, self._kafka, Rights(f"WRITE on topic {self._topic}"))):
            raise refused
        if waiting or failed:
            why = failed.str() if failed is not None else "no answer in a minute"
            raise BrokerUnavailableError(f"{self._topic} took no drift records: {why}")

    def _send(self, value: str, key: str) -> None:
        to = self._topic, value, key
        try:
            enqueue(self._producer, partial(self._producer.produce, *to, on_delivery=self._delivered))
        except KafkaException as problem:  # what the client was refused before, it does not even send
            self._failed = problem.args[0]

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed = error


def read_summaries(kafka: Mapping[str, str], topic: str) -> Iterator[SummaryRecord]:
    """Yield every window's summary on the topic, oldest first; raises ``BrokerUnavailableError``."""
    for message in KafkaLog(client_config(kafka), topic).read():
        if (summary := read_summary(message.value())) is not None:
            yield summary


def read_alerts(kafka: Mapping[str, str], topic: str) -> Iterator[DriftAlert]:
    """Yield every alert on the topic, oldest first; raises ``BrokerUnavailableError``."""
    for message in KafkaLog(client_config(kafka), topic).read():
        value = message.value() or b""
        # Most records are of other types, and are passed over without being read.
        if ALERT_TYPE.encode() in value and (record := json.loads(value)).get("type") == ALERT_TYPE:
            yield DriftAlert.from_dict(record)
