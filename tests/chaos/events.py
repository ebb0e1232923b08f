"""The continuous producer: keyed, numbered events at a steady rate, some broken, some with clocks gone wrong."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from confluent_kafka import Producer

from tests.chaos.checker import Place, Sent

KEYS = 20
HEADER = "chaos-event"
"""Travels beside each event, so that what lies on the topic can be understood without the producer's memory."""

_TICK = 0.05
_BROKEN_EVERY = 40
_BROKEN = (b"\xff\xfe", b'{"event_id": ', b"[]", b'{"event_id": "x"}', None)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CENTURY = timedelta(days=36_500)


class Events:
    """Sends from a thread of its own. ``sent`` has what the broker acknowledged; it is complete after :meth:`stop`."""

    def __init__(self, servers: str, topic: str, partitions: int, rate: int) -> None:
        self.sent: dict[Place, Sent] = {}
        self._topic, self._partitions, self._rate = topic, partitions, rate
        self._numbers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._refused: list[str] = []
        # Patient and idempotent: a broker that comes back must find every event once and in order.
        client = {"bootstrap.servers": servers, "enable.idempotence": True, "message.timeout.ms": 300_000}
        self._producer = Producer({**client, "linger.ms": 5, "reconnect.backoff.max.ms": 500})

    def start(self, chance: Random, *, skewed: bool) -> None:
        """Begin."""
        self._chance, self._skewed = chance, skewed
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more and wait for the last acknowledgement.

        Raises:
            RuntimeError: the broker did not take every event.
        """
        self.halt()
        if left := self._producer.flush(120):
            self._refused.append(f"{left} were never acknowledged")
        if self._refused:
            raise RuntimeError(f"the producer failed, which is none of the job's faults: {self._refused[:3]}")

    def halt(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        since, count = time.monotonic(), 0
        while not self._stop.wait(_TICK):
            while count < (time.monotonic() - since) * self._rate:
                count += 1
                self._send(count)
            self._producer.poll(0)

    def _send(self, count: int) -> None:
        lane = self._chance.randrange(KEYS)
        key = f"k{lane}"
        self._numbers[key] += 1
        late = None if count % _BROKEN_EVERY == 0 else self._chance.random() < 0.5
        event = Sent(key, self._numbers[key], late)
        value = self._chance.choice(_BROKEN) if late is None else self._value(event)

        def delivered(problem: object, message: Any) -> None:
            if problem is not None:
                self._refused.append(str(problem))
            else:
                self.sent[message.partition(), message.offset()] = event

        self._producer.produce(
            self._topic,
            value,
            key,
            partition=lane % self._partitions,
            headers=[(HEADER, describe(event))],
            timestamp=self._timestamp(),
            on_delivery=delivered,
        )

    def _value(self, event: Sent) -> bytes:
        when = datetime.now(timezone.utc)
        if self._skewed:
            when = _EPOCH + self._chance.random() * _CENTURY
        fields = {"event_id": event.id, "event_time": when.isoformat(), "carrier": "UA"}
        return json.dumps({**fields, "distance": 90.0 if event.late else 10.0}).encode()

    def _timestamp(self) -> int:
        """Return 0, for now, or with wrong clocks any time since 1970; brokers refuse what is over an hour ahead."""
        return self._chance.randrange(1, int(time.time() * 1000)) if self._skewed else 0


def describe(event: Sent) -> bytes:
    """Return the header that describes an event."""
    return json.dumps([event.key, event.number, event.late]).encode()


def described(headers: Mapping[str, bytes]) -> Sent:
    """Return the event that the header describes."""
    return Sent(*json.loads(headers[HEADER]))
