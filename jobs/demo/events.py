"""What the demonstration publishes: a season of departures in event-time order, with broken records in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle

import pandas as pd

from streaming.accounting.records import Outgoing
from streaming.training.flights import Departure, events

BROKEN_EVERY = 2_500
"""After so many departures comes a broken record."""
MAX_VALUE_BYTES = 64 * 1024
"""The demonstration's ``input.max_value_bytes``; an oversize record is a little larger."""


def messages(table: pd.DataFrame, every: int) -> Iterator[Outgoing[str | None]]:
    """Yield the table's departures, after every ``every`` of them one broken copy; timestamps stay those of 2013.

    A record's note says in which way it is broken, ``None`` for a sound one.
    """
    faults = cycle(BROKEN.items())
    for count, departure in enumerate(events(table), start=1):
        timestamp = int(departure.time.timestamp() * 1000)
        yield Outgoing(departure.value, None, departure.key, timestamp_ms=timestamp)
        if count % every == 0:
            name, fault = next(faults)
            yield Outgoing(fault(departure), name, departure.key, timestamp_ms=timestamp)


def broken_count(departures: int, every: int) -> int:
    """Return how many broken records :func:`messages` adds."""
    return departures // every


def _fields(departure: Departure) -> dict[str, object]:
    fields: dict[str, object] = json.loads(departure.value)
    return fields


def _replaced(departure: Departure, **changes: object) -> bytes:
    return json.dumps(_fields(departure) | changes).encode()


def _without(departure: Departure, name: str) -> bytes:
    return json.dumps({k: v for k, v in _fields(departure).items() if k != name}).encode()


BROKEN: Mapping[str, Callable[[Departure], bytes | None]] = {
    "cut off in the middle": lambda d: d.value[: len(d.value) // 2],
    "a word where a number belongs": lambda d: _replaced(d, distance="far"),
    "NaN, which JSON does not have": lambda d: _replaced(d, temp=float("nan")),
    "no destination": lambda d: _without(d, "dest"),
    "a key twice": lambda d: d.value[:-1] + b',"distance":1}',
    "tombstone": lambda _: None,
    "Latin-1 instead of UTF-8": lambda d: _replaced(d, carrier="x").replace(b'"x"', b'"\xe9"'),
    "a log file in place of an event": lambda d: d.value * (MAX_VALUE_BYTES // len(d.value) + 1),
    "a list": lambda d: b"[" + d.value + b"]",
    "an impossible time": lambda d: _replaced(d, event_time="2013-04-31T25:00:00Z"),
    "a number too large": lambda d: d.value.replace(b'"temp":', b'"temp":1e400,"was":'),
}
"""How records break in practice, and a function that breaks a departure this way."""
