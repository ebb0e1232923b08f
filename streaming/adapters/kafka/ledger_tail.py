"""The ledger followed while it grows, for its records of rollouts: it joins no group and commits nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import KafkaException, Message, Producer

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.growing import GrowingTopic
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.refusals import Complaints, Deliveries, opened, trouble
from streaming.adapters.kafka.scan import KafkaScan
from streaming.delivery.refusals import Rights
from streaming.errors import BrokerUnavailableError
from streaming.rollout.history import RolloutHistory
from streaming.rollout.states import FINISHED

_AT_ONCE = 500
CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of two drivers, or of a driver and the broker, may differ."""
_WRITE_SECONDS = 30.0
_ROLLOUT, _IN_A_STEP, _BATCHES = b'"type":"rollout"', b'"weight_epoch":', (b'"type":"plan"', b'"type":"outcome"')


class LedgerTail:
    """Implements :class:`streaming.engines.rollout_ports.RolloutRecords` for one application."""

    def __init__(self, kafka: Mapping[str, str], topic: str, application: str, since: datetime | None = None) -> None:
        """Connect to nothing yet.

        Args:
            kafka: Kafka's settings.
            topic: the ledger's.
            application: whose records are wanted.
            since: begin there, or where the step began in which an unfinished rollout was then; ``None`` for all.
        """
        self._kafka = dict(kafka)
        self._config = client_config(kafka)
        self._topic = topic
        self._application = application
        self._since = since
        self._next = 0
        self._has_step = False
        self._growing = GrowingTopic(kafka, topic)

    def to_end(self) -> Iterator[dict[str, Any]]:
        """Yield all records of rollouts that were not yielded before, up to the log's present end.

        Raises:
            ConfigurationError: the broker refuses us.
            BrokerUnavailableError: it does not answer.
        """
        self.close()
        if self._since is not None:
            self._next, self._since = self._beginning(self._since), None
        yield from self._read()

    def _read(self) -> Iterator[dict[str, Any]]:
        for message in KafkaLog(self._config, self._topic).read({0: self._next}):
            yield from self._taken(message)

    def _beginning(self, since: datetime) -> int:
        """Return the offset from which the state and the counts of its step are complete."""
        with KafkaScan(self._kafka, self._application) as scan:
            self._next = beginning = scan.offset_at(self._topic, 0, _milliseconds(since))
            rollout = RolloutHistory.of(self._application, self._read()).current
            # Without a rollout there is nothing that would have to be read once more.
            if rollout is None:
                return self._next
            if rollout.state.phase in FINISHED:
                return beginning
            began = scan.offset_at(self._topic, 0, _milliseconds(rollout.state.since.clock - CLOCK_SKEW))
        return min(beginning, began)

    def fresh(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the records of rollouts that have come since, after up to ``seconds`` if nothing has.

        Raises:
            ConfigurationError: the broker refuses us.
            BrokerUnavailableError: it does not answer.
        """
        if not self._growing.is_open:
            self._growing.open({0: self._next})
        for message in self._growing.take(_AT_ONCE, seconds):
            yield from self._taken(message)

    def close(self) -> None:
        """Let go of the broker; reading may go on."""
        self._growing.close()

    def _taken(self, message: Message) -> Iterator[dict[str, Any]]:
        self._next = (message.offset() or 0) + 1
        value = message.value() or b""
        if message.key() != self._application.encode():
            return
        # Few of millions of records concern a rollout, and parsing all of them takes ten times as long.
        self._has_step |= _IN_A_STEP in value
        # After the first step all batches count: another one may write what a step's batch was planned for.
        if _ROLLOUT in value or (self._has_step and any(kind in value for kind in _BATCHES)):
            yield json.loads(value)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000)


def append_record(kafka: Mapping[str, str], topic: str, application: str, record: Mapping[str, Any]) -> None:
    """Write a record to the ledger as somebody who does not hold the lease; it is durable when this returns.

    Raises:
        ConfigurationError: the broker refuses us, or the right to write.
        BrokerUnavailableError: it does not answer.
    """
    sent, complaints = Deliveries(), Complaints(kafka)
    own = {"acks": "all", "enable.idempotence": "true", "message.timeout.ms": str(int(_WRITE_SECONDS * 1_000))}
    producer = opened(Producer, complaints.settings({**client_config(kafka), **own}))
    producer.produce(topic, json.dumps(record, separators=(",", ":")), application, on_delivery=sent)
    unsent = producer.flush(_WRITE_SECONDS)
    complaints.check()
    if sent.first is not None:
        rights = Rights(topic=f"WRITE on topic {topic}")
        raise trouble(KafkaException(sent.first), kafka, rights, f"the ledger's topic {topic!r} cannot be written")
    if unsent:
        raise BrokerUnavailableError(f"the ledger's topic {topic!r} does not take records{complaints.reason}")
