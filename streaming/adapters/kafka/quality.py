"""Quality records on their topic, a window's in one transaction.

Who publishes something first takes the transactional id ``<application>.quality``, which fences an earlier publisher
and settles its last transaction, and then reads again what is published. So a run that was killed anywhere is continued
by the next one, no window is published twice, and a run that only looks disturbs nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import KafkaException, Producer

from schemas.quality import TYPE, QualityRecord
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.refusals import Deliveries, opened, sending
from streaming.delivery.refusals import Rights

_TIMEOUT = 30.0
_SENDER = {"transaction.timeout.ms": "30000"}


class KafkaQuality:
    """Implements :class:`streaming.quality.rounds.QualitySink`; made by :func:`quality_sink`."""

    def __init__(self, config: Mapping[str, str], producer: Producer, topic: str, whose: tuple[str, str]) -> None:
        self._config = config
        self._producer = producer
        self._topic = topic
        self._whose = whose
        self._is_ours = False
        self._published = self._read()

    def has(self, start: str, end: str) -> bool:
        """See :class:`streaming.quality.rounds.QualitySink`."""
        return (start, end) in self._published

    def publish(self, records: Sequence[QualityRecord]) -> bool:
        """See :class:`streaming.quality.rounds.QualitySink`."""
        if not self._is_ours:
            self._producer.init_transactions(_TIMEOUT)
            # Only now is it known what an earlier publisher had under way.
            self._published, self._is_ours = self._read(), True
        windows = {(record.start, record.end) for record in records}
        if windows <= self._published:
            return False
        sent = Deliveries()
        self._producer.begin_transaction()
        for record in records:
            self._producer.produce(self._topic, record.to_json(), record.model, on_delivery=sent)
        with sent.explained():
            self._producer.commit_transaction(_TIMEOUT)
        self._published |= windows
        return True

    def _read(self) -> set[tuple[str, str]]:
        return {
            (record["start"], record["end"])
            for record in _records(self._config, self._topic)
            if (record["application"], record["model"]) == self._whose
        }


@contextmanager
def quality_sink(kafka: Mapping[str, str], topic: str, whose: tuple[str, str]) -> Iterator[KafkaQuality]:
    """Yield what publishes the windows of an application and model.

    Raises:
        FencedError: another one has begun to publish.
        ConfigurationError: the broker refuses a right.
        BrokerUnavailableError: the broker does not answer.
    """
    name = f"{whose[0]}.quality"
    config = client_config(kafka)
    producer = opened(Producer, {**config, **_SENDER, "transactional.id": name})
    rights = Rights(topic=f"WRITE on topic {topic}", transactional_id=f"WRITE and DESCRIBE on transactional id {name}")
    try:
        with sending(config, rights, "penstock quality run"):
            yield KafkaQuality(config, producer, topic, whose)
    except BaseException:
        # Without this every reader of committed records would wait for the time-out.
        with suppress(KafkaException):
            producer.abort_transaction(_TIMEOUT)
        raise


def read_quality(kafka: Mapping[str, str], topic: str) -> Iterator[QualityRecord]:
    """Yield every record on the topic, oldest first; raises ``BrokerUnavailableError``."""
    return map(QualityRecord.from_dict, _records(client_config(kafka), topic))


def _records(config: Mapping[str, str], topic: str) -> Iterator[dict[str, Any]]:
    for message in KafkaLog(config, topic).read():
        record = json.loads(message.value() or b"{}")
        if record.get("type") == TYPE:
            yield record
