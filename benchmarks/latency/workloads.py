"""What is streamed and scored: the events of each workload, and what its model is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.latency import generated
from streaming.models.signature import Signature
from streaming.training import flights

BODIES = 20_000
"""Different events; a longer run begins anew."""
FEWER = 2_000
"""Of images, which are ten kilobytes each."""

Bodies = Callable[[], Iterator[bytes]]
Training = Callable[[Path], dict[str, Any]]
"""From a folder that it may write data to, to the ``train`` section of the settings."""


@dataclass(frozen=True)
class Workload:
    """One kind of event and model.

    Attributes:
        name: As ``--workload`` takes it.
        describes: What it is, for readers of the result.
        signature: The features.
        bodies: Yields events without their opening brace and ``event_id``.
        training: Says what the model is trained on.
        net: Whether it is Spark's multilayer perceptron, which ``penstock train`` does not offer.
    """

    name: str
    describes: str
    signature: Signature
    bodies: Bodies
    training: Training
    net: bool = False


def _flight_bodies() -> Iterator[bytes]:
    """Yield departures from April on; the model has seen those before."""
    table = flights.between(datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc))
    for departure in islice(flights.events(table), BODIES):
        # The id comes first, and has no comma in it.
        yield departure.value.split(b",", 1)[1]


def _flight_training(_: Path) -> dict[str, Any]:
    return {"to_time": "2013-04-01"}


def _mixed_bodies() -> Iterator[bytes]:
    return generated.bodies(generated.mixed(BODIES, generated.OTHER_SEED), generated.MIXED)


def _mixed_training(folder: Path) -> dict[str, Any]:
    data = generated.written(generated.mixed(BODIES, generated.SEED), folder)
    return {"data": data, "numeric": generated.NUMBERS, "categorical": generated.CATEGORIES}


def _image_bodies() -> Iterator[bytes]:
    return generated.bodies(generated.images(FEWER, generated.OTHER_SEED), generated.IMAGES)


def _image_training(folder: Path) -> dict[str, Any]:
    data = generated.written(generated.images(FEWER, generated.SEED), folder)
    return {"data": data, "numeric": generated.POINTS}


FLIGHTS = Workload(
    name="flights",
    describes="departures from New York, 4 categories and 12 numbers; 5-stage pipeline with logistic regression",
    signature=flights.SIGNATURE,
    bodies=_flight_bodies,
    training=_flight_training,
)
MIXED = Workload(
    name="mixed",
    describes="40 numbers, half of them with gaps, and 10 categories; 5-stage pipeline with logistic regression",
    signature=generated.MIXED,
    bodies=_mixed_bodies,
    training=_mixed_training,
)
DENSE = Workload(
    name="dense",
    describes="784 numbers in 10 kB of JSON, as Crayfish has; multilayer perceptron 784-32-10",
    signature=generated.IMAGES,
    bodies=_image_bodies,
    training=_image_training,
    net=True,
)
COPY = Workload(
    name="copy",
    describes="departures passed on as they are, as Spark's own 1,000 records/s benchmark does",
    signature=flights.SIGNATURE,
    bodies=_flight_bodies,
    training=_flight_training,
)
WORKLOADS = {workload.name: workload for workload in (FLIGHTS, MIXED, DENSE, COPY)}
