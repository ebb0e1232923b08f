"""Events of many models, decoded once where their models read the same columns, and split by their models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.arrow_types import feature_schema
from streaming.models.seams import RowDecoder
from streaming.models.signature import Column, Signature
from streaming.models.table import ModelTable
from streaming.scoring.arrow_bins import BinColumns
from streaming.scoring.compiled.program import read_events
from streaming.scoring.compiled.scope import Columns
from streaming.settings import EventSettings

_DECODERS = 16
"""Signatures whose decoders a worker keeps; each has learnt which fields of the events nobody reads."""
_ALONE = EventSettings(id=None, time=None, key=None)

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class RoutedEvents:
    """Events whose models read the same columns.

    Attributes:
        rows: which rows of the batch they are.
        features: what a decoder read of each, features and verdict.
        signature: the columns that their models read.
    """

    rows: Numbers
    features: pa.RecordBatch
    signature: Signature

    def by_model(self, numbers: Numbers) -> Iterator[tuple[int, ModelEvents]]:
        """Yield the number of each model and its events; ``numbers`` has the model's of each row of the batch."""
        own = numbers[self.rows]
        order = np.argsort(own, kind="stable")
        # One copy of the columns, of which each model's events then are a slice.
        group = SortedEvents(self.rows[order], self.features.take(pa.array(order)), self.signature)
        models, starts = np.unique(own[order], return_index=True)
        bounds = [*starts.tolist(), len(order)]
        for number, (start, end) in zip(models.tolist(), pairwise(bounds), strict=True):
            yield number, ModelEvents(group, start, end)


@dataclass(frozen=True)
class SortedEvents:
    """:class:`RoutedEvents` in the order of their models. What all models need of a column is made of it once."""

    rows: Numbers
    features: pa.RecordBatch
    signature: Signature

    @cached_property
    def valid(self) -> pa.RecordBatch:
        """The models' columns of the events that the decoder has not rejected."""
        verdicts = self.features.column(c.VERDICT)
        chosen = self.features.select(list(self.signature.names))
        return chosen if verdicts.null_count == len(verdicts) else chosen.filter(verdicts.is_null())

    @cached_property
    def valid_before(self) -> Numbers:
        """How many of these come before each event, and in the last place how many there are."""
        valid = self.features.column(c.VERDICT).is_null().to_numpy(zero_copy_only=False)
        return np.concatenate([[0], np.cumsum(valid)])

    @cached_property
    def bins(self) -> BinColumns:
        """The columns of :attr:`valid` as reference profiles take them."""
        return BinColumns(self.valid)

    @cached_property
    def columns(self) -> Columns | None:
        """The columns of :attr:`valid` as compiled programs take them; ``None`` if one has what no program can read."""
        try:
            return read_events(self.valid, feature_schema(self.signature)).coded()
        except ScoringError:
            return None


@dataclass(frozen=True)
class ModelEvents:
    """One model's events: those from ``start`` up to but not including ``end`` of a group."""

    group: SortedEvents
    start: int
    end: int

    def __len__(self) -> int:
        """Return how many they are."""
        return self.end - self.start

    @property
    def rows(self) -> Numbers:
        """Which rows of the batch they are."""
        return self.group.rows[self.start : self.end]

    @cached_property
    def features(self) -> pa.RecordBatch:
        """What a decoder read of each, features and verdict."""
        return self.group.features.slice(self.start, len(self))

    @cached_property
    def valid(self) -> slice:
        """Where those that the decoder has not rejected are among the valid ones of the group."""
        before = self.group.valid_before
        return slice(int(before[self.start]), int(before[self.end]))


@dataclass(frozen=True)
class DecodedBatch:
    """A batch of events, read.

    Attributes:
        envelope: id, time, subject and verdict of each event, as the decoder of its own model read them.
        numbers: each event's model by its number in the table.
        groups: the events by the columns that their models read.
    """

    envelope: pa.RecordBatch
    numbers: Numbers
    groups: tuple[RoutedEvents, ...]

    def by_model(self) -> Iterator[tuple[int, ModelEvents]]:
        """Yield the number of each model and its events."""
        for group in self.groups:
            yield from group.by_model(self.numbers)


class RoutedDecoder:
    """Reads events by the signatures of a table's models; an instance belongs to one thread."""

    def __init__(self, table: ModelTable, envelope: EventSettings, max_value_bytes: int) -> None:
        """Begin with the signature that most models have: a batch of their events alone is read once."""
        self._table = table
        self._envelope = envelope
        self._bytes = max_value_bytes
        signatures = Counter(row.signature for row in table.rows if row.is_loaded)
        # What is for no loaded model is read by no model's rules, but for its envelope.
        self._signatures = [*(signature for signature, _ in signatures.most_common()), Signature(())]
        positions = {signature: number for number, signature in enumerate(self._signatures)}
        nobody = len(self._signatures) - 1
        groups = [nobody, *(positions[row.signature] if row.is_loaded else nobody for row in table.rows)]
        self._groups = np.array(groups)

    def read(self, values: pa.BinaryArray) -> DecodedBatch:
        """Read the values of n records."""
        first = self._decoder(0).read(values)
        numbers = self._models(values, first)
        groups = self._groups[numbers]
        if not groups.any():
            everyone = RoutedEvents(np.arange(len(values)), first, self._signatures[0])
            return DecodedBatch(first, numbers, (everyone,))
        events = []
        for group in np.unique(groups).tolist():
            rows = np.flatnonzero(groups == group)
            at = pa.array(rows)
            features = first.take(at) if group == 0 else self._decoder(group).read(values.take(at))
            events.append(RoutedEvents(rows, features, self._signatures[group]))
        return DecodedBatch(_envelope(events), numbers, tuple(events))

    def _decoder(self, group: int) -> RowDecoder:
        return _decoder(_with_route(self._signatures[group], self._table.rule.field), self._envelope, self._bytes)

    def _models(self, values: pa.BinaryArray, read: pa.RecordBatch) -> Numbers:
        """Return the number of each event's model, also of events that the first signature's rules reject."""
        field = self._table.rule.field
        routes = read.column(field).cast(pa.string())
        rejected = read.column(c.VERDICT).is_valid()
        if rejected.true_count:
            alone = _decoder(Signature((Column(field, "string", False),)), _ALONE, self._bytes)
            own = alone.read(values.filter(rejected)).column(field)
            routes = pc.replace_with_mask(routes, rejected, own)
        # The rule is asked once for each value, not for each event.
        encoded = pc.dictionary_encode(routes, null_encoding="encode")
        by_value = np.array([self._number(value) for value in encoded.dictionary.to_pylist()] or [0])
        numbers: Numbers = by_value[encoded.indices.to_numpy(zero_copy_only=False)]
        return numbers

    def _number(self, value: str | None) -> int:
        name = self._table.rule.name(value, self._table.numbers)
        return self._table.numbers.get(name, 0) if name is not None else 0


@lru_cache(maxsize=_DECODERS)
def _decoder(signature: Signature, envelope: EventSettings, max_value_bytes: int) -> RowDecoder:
    return TieredRowDecoder(signature, envelope, max_value_bytes)


def _with_route(signature: Signature, field: str) -> Signature:
    """Return the columns, and the route's as an optional text where no model reads it."""
    if field in signature.names:
        return signature
    return Signature((*signature.columns, Column(field, "string", required=False)))


def _envelope(groups: list[RoutedEvents]) -> pa.RecordBatch:
    order = np.concatenate([group.rows for group in groups])
    names = [name for name in c.ENVELOPE if name in groups[0].features.schema.names]
    columns = (pa.concat_arrays([group.features.column(name) for group in groups]) for name in names)
    return pa.RecordBatch.from_arrays([spread(column, order) for column in columns], names)


def spread(column: pa.Array, rows: Numbers) -> pa.Array:
    """Return a column whose k-th value belongs to row ``rows[k]`` in the order of the rows."""
    order = np.empty(len(rows), np.int64)
    order[rows] = np.arange(len(rows))
    return column.take(pa.array(order))
