"""What is streamed and scored: the events of each workload, and how its model is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from streaming.models.signature import Signature
from streaming.training import flights

BODIES = 20_000
"""Different events; a longer run begins anew."""

Bodies = Callable[[], Iterator[bytes]]
Training = Callable[[Path], dict[str, Any]]
"""From a folder that it may write data to, to the ``train`` section of the settings."""


@dataclass(frozen=True)
class Workload:
    """``bodies`` yields events without their opening brace and ``event_id``; ``describes`` says it to readers."""

    name: str
    describes: str
    signature: Signature
    bodies: Bodies
    training: Training


def _flight_bodies() -> Iterator[bytes]:
    """Yield departures from April on; the model has seen those before."""
    table = flights.between(datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc))
    for departure in islice(flights.events(table), BODIES):
        # The id comes first, and has no comma in it.
        yield departure.value.split(b",", 1)[1]


def _flight_training(_: Path) -> dict[str, Any]:
    return {"to_time": "2013-04-01"}


FLIGHTS = Workload(
    "flights",
    "departures from New York, 4 categories and 12 numbers; 5-stage pipeline with logistic regression",
    flights.SIGNATURE,
    _flight_bodies,
    _flight_training,
)
COPY = Workload(
    "copy", "the same departures, passed on as they are", flights.SIGNATURE, _flight_bodies, _flight_training
)
WORKLOADS = {workload.name: workload for workload in (FLIGHTS, COPY)}
