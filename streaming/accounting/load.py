"""Records put on a topic, on schedule or as fast as it goes, and where Kafka put each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from confluent_kafka import KafkaError, Message, Producer

from streaming.accounting.records import Note, Outgoing, Place
from streaming.errors import BrokerUnavailableError

NANOSECONDS = 1_000_000_000
_FLUSH_SECONDS = 120.0
_COARSE_RATE = 100
_COARSE_TICK = NANOSECONDS // 100
"""Above ``_COARSE_RATE`` events a second those due within a tick go together: to wake up for each takes a third of a
core at a few thousand."""


@dataclass(frozen=True)
class DueTimes:
    """Event ``n``, counted from 0, is due at ``start`` + n / ``rate``; with a rate of 0 all are due at once.

    ``start`` is a reading of the monotonic clock in nanoseconds, ``rate`` in events per second.
    """

    start: int
    rate: int

    def due(self, number: int) -> int:
        """Return when one event is due."""
        return self.start + (number * NANOSECONDS // self.rate if self.rate else 0)

    def wait(self, number: int, tick: int, meanwhile: Callable[[], None]) -> int:
        """Wait until an event is due, at least ``tick`` nanoseconds if at all; return how late it is, in nanoseconds.

        A stall does not move the schedule: what has become due meanwhile is not waited for. ``meanwhile`` is called
        before a wait.
        """
        due = self.due(number)
        if time.monotonic_ns() < due:
            meanwhile()
            time.sleep(max(tick, due - time.monotonic_ns()) / NANOSECONDS)
        return time.monotonic_ns() - due


class Publisher:
    """A producer for one topic that waits for room in its queue, and counts what Kafka did not acknowledge."""

    def __init__(self, servers: str, topic: str, **config: Any) -> None:
        """Configure the producer; it connects with the first record or :meth:`connect`.

        Args:
            servers: the broker, ``host:port``.
            topic: where all records go.
            config: the client's, such as ``{"linger.ms": 0}``, laid over ours: idempotent, and quiet.
        """
        own = {"enable.idempotence": True, "linger.ms": 5, "log_level": 2, "on_delivery": self._report}
        self._producer = Producer({"bootstrap.servers": servers, **own, **config})
        self._topic = topic
        self.failed = 0
        self.failure: str | None = None
        """What Kafka said of the last record that it did not take."""

    def connect(self, seconds: float = 30.0) -> None:
        """Connect now, so that the first record does not wait for it."""
        self._producer.list_topics(self._topic, timeout=seconds)

    def send(self, value: bytes | None, key: str | bytes | None = None, **more: Any) -> None:
        """Hand one record to the producer; ``more`` is ``Producer.produce``'s."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, **more)
            except BufferError:
                # The queue is full. Room comes when poll has taken acknowledgements off it.
                self._producer.poll(0.05)
            else:
                return

    def serve(self, seconds: float = 0.0) -> None:
        """Take note of acknowledgements, waiting for one at most so long."""
        self._producer.poll(seconds)

    def finish(self, seconds: float = _FLUSH_SECONDS) -> None:
        """Wait for all acknowledgements.

        Raises:
            BrokerUnavailableError: a record was not acknowledged.
        """
        self.failed += self._producer.flush(seconds)
        if self.failed:
            raise BrokerUnavailableError(f"Kafka did not acknowledge {self.failed} records: {self.failure}")

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.failed += 1
            self.failure = str(error)


class SteadyLoad(Publisher, Generic[Note]):
    """Sends records at a steady rate, and remembers where each is.

    ``delivered`` has the note of each acknowledged record by its place, ``sent_at`` when it was sent (epoch seconds).
    Both are complete after :meth:`run` or :meth:`stop`.
    """

    def __init__(self, servers: str, topic: str, rate: int, **config: Any) -> None:
        """``rate`` is in records per second; for ``config`` see :class:`Publisher`."""
        super().__init__(servers, topic, **config)
        self.rate = rate
        self.delivered: dict[Place, Note] = {}
        self.sent_at: dict[Place, float] = {}
        self.sent = 0
        self.paused_seconds = 0.0
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, records: Iterable[Outgoing[Note]], gates: Mapping[int, threading.Event] | None = None) -> None:
        """Send until the end or until ``stopping`` is set; after as many records as a gate's key, wait until it is set.

        Raises:
            BrokerUnavailableError: a record was not acknowledged.
        """
        self._send_all(records, gates or {})
        self.finish()

    def start(self, records: Iterable[Outgoing[Note]]) -> None:
        """Send on a thread of its own, until :meth:`halt` or :meth:`stop`."""
        self._thread = threading.Thread(target=self._send_all, args=(records, {}), name="load", daemon=True)
        self._thread.start()

    def halt(self) -> None:
        """Send no more."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Send no more, and wait for the last acknowledgement.

        Raises:
            BrokerUnavailableError: a record was not acknowledged.
        """
        self.halt()
        self.finish()

    def _send_all(self, records: Iterable[Outgoing[Note]], gates: Mapping[int, threading.Event]) -> None:
        times, tick = DueTimes(time.monotonic_ns(), self.rate), _COARSE_TICK if self.rate > _COARSE_RATE else 0
        for record in records:
            if self.stopping.is_set():
                return
            if self.sent in gates:
                # The schedule waits too, or all that became due meanwhile would be sent at once.
                times = DueTimes(times.start + self._wait_at(gates[self.sent]), self.rate)
            times.wait(self.sent, tick, self.serve)
            self._send(record)

    def _send(self, record: Outgoing[Note]) -> None:
        self.send(
            record.value,
            record.key,
            partition=record.partition,
            timestamp=record.timestamp_ms,
            headers=list(record.headers),
            on_delivery=partial(self._note, record.note, time.time()),
        )
        self.sent += 1

    def _wait_at(self, gate: threading.Event) -> int:
        """Return how long the gate was shut, in nanoseconds."""
        began = time.monotonic_ns()
        while not gate.is_set() and not self.stopping.is_set():
            self.serve(0.1)
        waited = time.monotonic_ns() - began
        self.paused_seconds += waited / NANOSECONDS
        return waited

    def _note(self, note: Note, sent_at: float, error: KafkaError | None, message: Message) -> None:
        self._report(error, message)
        partition, offset = message.partition(), message.offset()
        if error is None and partition is not None and offset is not None:
            self.delivered[partition, offset] = note
            self.sent_at[partition, offset] = sent_at
