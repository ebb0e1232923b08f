"""What ``make demo-rollout`` publishes: departures in event-time order, and outcomes once the stream has come there."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from datetime import datetime

import pandas as pd

from streaming.accounting.records import Outgoing
from streaming.clock import isoformat
from streaming.training.flights import events

Publish = Callable[[bytes, int], None]
"""Publishes a label, with its timestamp in milliseconds."""


def departing(table: pd.DataFrame, publish: Publish) -> Iterator[Outgoing[None]]:
    """Yield the departures, and publish on the way the label of every flight that has landed by then.

    Args:
        table: of :func:`streaming.training.flights.between`.
        publish: takes the outcomes; their timestamps, as those of the departures, stay of 2013.
    """
    airborne: list[tuple[datetime, str, bool]] = []
    for departure in events(table):
        while airborne and airborne[0][0] <= departure.time:
            landed, event_id, late = heapq.heappop(airborne)
            publish(outcome(event_id, late, landed), _milliseconds(landed))
        if departure.landed is not None and departure.late is not None:
            heapq.heappush(airborne, (departure.landed, departure.event_id, departure.late))
        yield Outgoing(departure.value, None, departure.key, timestamp_ms=_milliseconds(departure.time))


def outcome(event_id: str, late: bool, landed: datetime) -> bytes:
    """Return a label's record, as ``schemas/contracts/label.json`` has it."""
    return json.dumps({"event_id": event_id, "label": int(late), "known_at": isoformat(landed)}).encode()


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
