"""The open loop's load: when each event is due is fixed before the first is sent, whatever the system then does."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streaming.accounting.load import NANOSECONDS, DueTimes

Times = npt.NDArray[np.int64]
"""Readings of the machine's monotonic clock, in nanoseconds."""


def all_due(times: DueTimes, events: int) -> Times:
    """Return when each of the first ``events`` is due."""
    if not times.rate:
        return np.full(events, times.start, np.int64)
    return times.start + np.arange(events, dtype=np.int64) * NANOSECONDS // times.rate


@dataclass(frozen=True)
class Feed:
    """What one feeder process does.

    Attributes:
        bootstrap: The broker.
        topic: Where the events go.
        partitions: How many it has; the events take turns.
        bodies: A file with a line per event, JSON without its opening brace and ``event_id``; begun anew at its end.
        first: The first event's id; the others count on from it.
        events: How many.
        rate: Events per second; 0 for as fast as it goes.
        report: The file that gets a :class:`Fed` when all are acknowledged.
    """

    bootstrap: str
    topic: str
    partitions: int
    bodies: str
    first: int
    events: int
    rate: int
    report: str

    def write(self, path: Path) -> Path:
        """Write it as the file that the process is started with."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: Path) -> Feed:
        """Read it back."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Fed:
    """What a feeder has done.

    Attributes:
        start: When the schedule began, by the monotonic clock in nanoseconds.
        sent: How many events.
        failed: How many of them were not acknowledged.
        payload_bytes: An event's mean size.
        lateness_ms: Percentiles of how long after it was due an event was sent.
        cpu_seconds: What the process has taken of the processors.
    """

    start: int
    sent: int
    failed: int
    payload_bytes: float
    lateness_ms: dict[str, float]
    cpu_seconds: float

    @classmethod
    def read(cls, path: Path) -> Fed:
        """Read a feeder's report."""
        return cls(**json.loads(path.read_text()))


def event(number: int, body: bytes) -> bytes:
    """Return an event's JSON.

    >>> event(7, b'"temp":3.5}')
    b'{"event_id":"7","temp":3.5}'
    """
    return b'{"event_id":"%d",%b' % (number, body)
