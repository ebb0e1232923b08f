"""Publishing at a steady rate, and remembering where Kafka put every record."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial

from confluent_kafka import KafkaError, Message, Producer

from jobs.demo import events as demo_events
from streaming.errors import BrokerUnavailableError

Position = tuple[int, int]
"""A record's partition and offset."""

_TICK_SECONDS = 0.01
_FLUSH_SECONDS = 60.0


class Publisher:
    """Publishes to one topic. ``delivered`` maps each acknowledged record's position to when it was sent (epoch s)."""

    def __init__(self, bootstrap_servers: str, topic: str, rate: int) -> None:
        """``rate`` is in events per second."""
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 5, "log_level": 2}
        )
        self._topic = topic
        self._rate = rate
        self.delivered: dict[Position, float] = {}
        self.sent = 0
        self.failure: str | None = None
        self.paused_seconds = 0.0
        self.stop = threading.Event()

    def publish(self, messages: Iterable[demo_events.Message], gates: Mapping[int, threading.Event]) -> None:
        """Publish until the end or ``stop``; after so many records as a gate's key, wait until it is set.

        Raises:
            BrokerUnavailableError: a record was not acknowledged.
        """
        due = time.monotonic()
        for message in messages:
            if self.stop.is_set():
                break
            if self.sent in gates:
                due += self._wait_at(gates[self.sent])
            due += 1 / self._rate
            self._keep_pace(due)
            self._send(message)
        self._producer.flush(_FLUSH_SECONDS)
        if self.failure is not None or len(self.delivered) != self.sent:
            lost = self.sent - len(self.delivered)
            raise BrokerUnavailableError(
                f"{lost} of {self.sent} records were not acknowledged by Kafka: {self.failure}"
            )

    def _keep_pace(self, due: float) -> None:
        early = due - time.monotonic()
        if early > _TICK_SECONDS:
            self._producer.poll(0)
            time.sleep(early)

    def _send(self, message: demo_events.Message) -> None:
        report = partial(self._report, time.time())
        while True:
            try:
                self._producer.produce(
                    self._topic, message.value, message.key, timestamp=message.timestamp_ms, on_delivery=report
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self.sent += 1
                return

    def _wait_at(self, gate: threading.Event) -> float:
        began = time.monotonic()
        while not gate.is_set() and not self.stop.is_set():
            self._producer.poll(0.1)
        waited = time.monotonic() - began
        self.paused_seconds += waited
        return waited

    def _report(self, sent_at: float, error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            self.failure = str(error)
        else:
            self.delivered[partition, offset] = sent_at
