"""Keyed, numbered events, some broken, some with clocks gone wrong; and what a version says of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from random import Random

from streaming.accounting.records import Outgoing, Sent

KEYS = 20
HEADER = "traffic-event"
"""Travels beside each event, so that what lies on the topic can be understood without the producer's memory."""

_BROKEN_EVERY = 40
_BROKEN = (b"\xff\xfe", b'{"event_id": ', b"[]", b'{"event_id": "x"}', None)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CENTURY = timedelta(days=36_500)


def traffic(chance: Random, partitions: int, *, skewed: bool = False) -> Iterator[Outgoing[Sent]]:
    """Yield events without end, each key's in one partition; with wrong clocks if ``skewed``."""
    numbers: Counter[str] = Counter()
    count = 0
    while True:
        count += 1
        lane = chance.randrange(KEYS)
        key = f"k{lane}"
        numbers[key] += 1
        late = None if count % _BROKEN_EVERY == 0 else chance.random() < 0.5
        event = Sent(key, numbers[key], late)
        yield Outgoing(
            chance.choice(_BROKEN) if late is None else _value(event, chance, skewed=skewed),
            event,
            key,
            partition=lane % partitions,
            # Brokers refuse what is over an hour ahead.
            timestamp_ms=chance.randrange(1, int(time.time() * 1000)) if skewed else 0,
            headers=[(HEADER, describe(event))],
        )


def _value(event: Sent, chance: Random, *, skewed: bool) -> bytes:
    when = _EPOCH + chance.random() * _CENTURY if skewed else datetime.now(timezone.utc)
    fields = {"event_id": event.id, "event_time": when.isoformat(), "carrier": "UA"}
    return json.dumps({**fields, "distance": 90.0 if event.late else 10.0}).encode()


def describe(event: Sent) -> bytes:
    """Return the header that describes an event."""
    return json.dumps([event.key, event.number, event.late]).encode()


def described(headers: Mapping[str, bytes]) -> Sent:
    """Return the event that the header describes."""
    return Sent(*json.loads(headers[HEADER]))


def predicts(event: Sent, version: int) -> float:
    """Return what a version of the team's model says: 1 for late; each second one says the opposite."""
    return float(event.late == (version % 2 == 1))
