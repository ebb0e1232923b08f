"""Sends events on schedule, in a process of its own: ``python -m benchmarks.latency.feeder FEED.json``.

A stall does not move the schedule: what has become due meanwhile is sent at once, and counts as late. How late events
were sent is reported, because a feeder that cannot keep its schedule measures itself.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from array import array
from dataclasses import asdict
from itertools import cycle
from pathlib import Path

import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.latency.load import NANOSECONDS, Fed, Feed, Schedule, event
from benchmarks.latency.stats import percentiles_ms

_AHEAD = NANOSECONDS // 2
"""So long before the first event is due the schedule is fixed."""
_FLUSH_SECONDS = 120.0
_CROWDED = 2_000
"""Events per second beyond which those that are due within a tick go together, late by half of one on average: to wake
up for each takes a third of a core from the system that is measured."""
_TICK = NANOSECONDS // 200
"""As long as Kafka's own producer waits for company (``linger.ms`` is 5 since Kafka 4.0)."""


class Sender:
    """A producer that waits for room, and counts what was not acknowledged."""

    def __init__(self, feed: Feed) -> None:
        config = {
            "bootstrap.servers": feed.bootstrap,
            # A scheduled event goes out at once, or with those that came due while the last ones were on their way: a
            # request for each takes the broker most of a core at 5,000 a second. A fill may wait for company.
            "linger.ms": 0 if feed.rate else 20,
            "max.in.flight": 1 if feed.rate else 5,
            # With one broker `all` waits for nobody else than `1` does, and is what an application should use.
            "acks": "all",
            "delivery.report.only.error": True,
            "on_delivery": self._report,
        }
        self._producer = Producer(config)
        self._producer.list_topics(feed.topic, timeout=30)  # connected before the schedule begins
        self._feed = feed
        self.failed = 0
        self.bytes = 0

    def send(self, number: int, body: bytes) -> None:
        """Hand one event to the producer."""
        name = self._feed.first + number
        value = event(name, body)
        self.bytes += len(value)
        while True:
            try:
                self._producer.produce(self._feed.topic, value, b"%d" % name, number % self._feed.partitions)
            except BufferError:
                self._producer.poll(0.01)
            else:
                return

    def serve(self) -> None:
        """Take note of failures so far."""
        self._producer.poll(0)

    def finish(self) -> int:
        """Wait for all acknowledgements; return how many events failed."""
        return self._producer.flush(_FLUSH_SECONDS) + self.failed

    def _report(self, error: KafkaError | None, _: Message) -> None:
        self.failed += error is not None


def run(feed: Feed) -> Fed:
    """Send everything and say how it went."""
    bodies = Path(feed.bodies).read_bytes().splitlines()
    sender = Sender(feed)
    schedule = Schedule(time.monotonic_ns() + _AHEAD, feed.rate)
    pause = _TICK if feed.rate > _CROWDED else 0
    lateness = array("q")
    for number, body in zip(range(feed.events), cycle(bodies), strict=False):
        due = schedule.due(number)
        if time.monotonic_ns() < due:
            sender.serve()
            time.sleep(max(pause, due - time.monotonic_ns()) / NANOSECONDS)
        lateness.append(time.monotonic_ns() - due)
        sender.send(number, body)
    failed = sender.finish()
    late = percentiles_ms(np.asarray(lateness, np.int64))
    return Fed(schedule.start, feed.events, failed, sender.bytes / max(1, feed.events), late, time.process_time())


def main(path: Path) -> None:
    """Do what the file says, and leave the report when all is done."""
    gc.disable()  # nothing here makes cycles, and a collection would come between two events
    feed = Feed.read(path)
    fed = run(feed)
    Path(feed.report).write_text(json.dumps(asdict(fed)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
