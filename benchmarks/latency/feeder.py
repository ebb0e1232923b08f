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
from contextlib import suppress
from dataclasses import asdict
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.latency.load import Fed, Feed, event
from benchmarks.latency.stats import percentiles_ms
from streaming.accounting.load import NANOSECONDS, DueTimes, Publisher
from streaming.errors import BrokerUnavailableError

_AHEAD = NANOSECONDS // 2
"""So long before the first event is due the schedule is fixed."""
_FLUSH_SECONDS = 120.0
_CROWDED = 2_000
"""Events per second beyond which those that are due within a tick go together, late by half of one on average: to wake
up for each takes a third of a core from the system that is measured."""
_TICK = NANOSECONDS // 200
"""As long as Kafka's own producer waits for company (``linger.ms`` is 5 since Kafka 4.0)."""


def publisher(feed: Feed) -> Publisher:
    """Return the producer, connected before the schedule begins."""
    config = {
        # A scheduled event goes out at once, or with those that came due while the last ones were on their way: a
        # request for each takes the broker most of a core at 5,000 a second. A fill may wait for company.
        "linger.ms": 0 if feed.rate else 20,
        "max.in.flight": 1 if feed.rate else 5,
        # With one broker `all` waits for nobody else than `1` does, and is what an application should use.
        "acks": "all",
        "enable.idempotence": False,
        "delivery.report.only.error": True,
    }
    made = Publisher(feed.bootstrap, feed.topic, **config)
    made.connect()
    return made


def run(feed: Feed) -> Fed:
    """Send everything and say how it went."""
    bodies = Path(feed.bodies).read_bytes().splitlines()
    sender = publisher(feed)
    times = DueTimes(time.monotonic_ns() + _AHEAD, feed.rate)
    pause = _TICK if feed.rate > _CROWDED else 0
    lateness, sizes = array("q"), 0
    for number, body in zip(range(feed.events), cycle(bodies), strict=False):
        lateness.append(times.wait(number, pause, sender.serve))
        name = feed.first + number
        value = event(name, body)
        sizes += len(value)
        sender.send(value, b"%d" % name, partition=number % feed.partitions)
    with suppress(BrokerUnavailableError):  # the report says how many
        sender.finish(_FLUSH_SECONDS)
    late = percentiles_ms(np.asarray(lateness, np.int64))
    return Fed(
        start=times.start,
        sent=feed.events,
        failed=sender.failed,
        payload_bytes=sizes / max(1, feed.events),
        lateness_ms=late,
        cpu_seconds=time.process_time(),
    )


def main(path: Path) -> None:
    """Do what the file says, and leave the report when all is done."""
    gc.disable()  # nothing here makes cycles, and a collection would come between two events
    feed = Feed.read(path)
    fed = run(feed)
    Path(feed.report).write_text(json.dumps(asdict(fed)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
