"""Events that a version brings itself, its golden rows and its input example, and valid events among others."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from streaming.events import columns as c
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.package import ModelPackage
from streaming.models.seams import Features
from streaming.settings import EventSettings

MOST_RECORDED = 200
"""Rows of an input example, and recent events of a topic, that are looked at."""
NO_ENVELOPE = EventSettings(id=None, time=None)
"""An input example has the features alone."""


def recorded_events(package: ModelPackage, max_value_bytes: int) -> list[Features]:
    """Return the golden rows, and the rows of the input example that are valid events."""
    golden = [row.features for row in package.golden.rows] if package.golden else []
    return [*golden, *valid_events_of(package, NO_ENVELOPE, max_value_bytes, example_values(package))]


def example_values(package: ModelPackage) -> list[bytes]:
    """Return the first rows of the input example, as JSON."""
    return [json.dumps(row).encode() for row in package.examples[:MOST_RECORDED]]


def valid_events_of(
    package: ModelPackage, envelope: EventSettings, max_value_bytes: int, values: Sequence[bytes]
) -> list[Features]:
    """Return the features of the events that are read without a verdict."""
    read = TieredRowDecoder(package.signature, envelope, max_value_bytes).read(pa.array(values, pa.binary()))
    valid = read.filter(read.column(c.VERDICT).is_null()).select(list(package.signature.names))
    features: list[Features] = valid.to_pylist()
    return features
