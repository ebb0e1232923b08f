"""The events on which an exported form is held against the compiled one: recorded, likely, and at the edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.models.arrow_types import feature_batch
from streaming.models.package import ModelPackage
from streaming.models.profile import MAX_VALUE_BINS, NULL_BIN, ColumnProfile
from streaming.models.seams import Features
from streaming.models.signature import Column
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.edges import edge_events
from streaming.scoring.made_up import made_up_event
from streaming.scoring.recorded import recorded_events

_MOST_BYTES = 1_048_576
_NEW_TEXT = "\N{REPLACEMENT CHARACTER}new"
"""Drawn where the reference had a text that is in none of the profile's bins."""


@dataclass(frozen=True)
class ComparedEvents:
    """Batches of events with the signature's columns.

    Attributes:
        golden: the golden rows, whose answers Spark gave when the version was trained.
        likely: drawn from the reference profile, each column by itself; from the golden rows and the input example
            where a column has no profile.
        edges: made up where two forms would differ, see :func:`streaming.scoring.edges.edge_events`.
    """

    golden: pa.RecordBatch
    likely: pa.RecordBatch
    edges: pa.RecordBatch


def compared_events(package: ModelPackage, stages: Iterable[SavedStage], likely: int) -> ComparedEvents:
    """Return the events for a version; the same version has the same events.

    Args:
        package: the version.
        stages: its saved stages.
        likely: how many events are drawn.
    """
    golden = [row.features for row in package.golden.rows] if package.golden else []
    recorded = recorded_events(package, _MOST_BYTES) or [made_up_event(package.signature, ())]
    edges = edge_events(package, stages, recorded)
    return ComparedEvents(
        golden=feature_batch(package.signature, golden),
        likely=feature_batch(package.signature, _likely(package, recorded, likely)),
        edges=feature_batch(package.signature, [*recorded, *edges]),
    )


def _likely(package: ModelPackage, recorded: Sequence[Features], count: int) -> list[Features]:
    random = np.random.default_rng(0)
    profiles = {column.name: column for column in package.profile.columns} if package.profile else {}
    draws = {
        column.name: _from_profile(column, profiles[column.name], random)
        if column.name in profiles and column.type != "boolean"
        else _from_recorded([event.get(column.name) for event in recorded], random)
        for column in package.signature.columns
    }
    return [{name: draw() for name, draw in draws.items()} for _ in range(count)]


def _from_recorded(values: Sequence[Any], random: np.random.Generator) -> Callable[[], Any]:
    return lambda: values[int(random.integers(len(values)))]


def _from_profile(column: Column, profile: ColumnProfile, random: np.random.Generator) -> Callable[[], Any]:
    """Return what draws a bin by the reference's counts, and then a value in it."""
    counts = {bin_id: count for bin_id, count in profile.counts.items() if count and _is_drawn(column, bin_id)}
    bins, weights = list(counts) or [0], np.cumsum(list(counts.values()) or [1])
    value = _text_in if column.type == "string" else _number_in

    def draw() -> Any:
        bin_id = bins[int(np.searchsorted(weights, random.integers(weights[-1]), side="right"))]
        return None if bin_id == NULL_BIN else value(column, profile, bin_id, random)

    return draw


def _is_drawn(column: Column, bin_id: int) -> bool:
    """Return whether an event may have a value of the bin: no null where one is required, no NaN and no infinity."""
    return not column.required if bin_id == NULL_BIN else bin_id < MAX_VALUE_BINS or column.type == "string"


def _text_in(_: Column, profile: ColumnProfile, bin_id: int, random: np.random.Generator) -> str:
    if bin_id < len(profile.categories):
        return profile.categories[bin_id]
    return profile.rare[int(random.integers(len(profile.rare)))] if profile.rare else _NEW_TEXT


def _number_in(column: Column, profile: ColumnProfile, bin_id: int, random: np.random.Generator) -> float:
    """Return a number between the edges of a bin; one near to the only edge of an outer bin."""
    edges = profile.edges or (0.0,)
    low, high = edges[max(bin_id - 1, 0)], edges[min(bin_id, len(edges) - 1)]
    centre = profile.centres[bin_id] if bin_id < len(profile.centres) else low
    value = random.uniform(low, high) if low < high else random.normal(centre, abs(centre - low))
    return float(value) if column.is_floating else round(value)
