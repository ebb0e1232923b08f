"""Events of many models, decoded once where their models read the same columns, and split by their models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streaming.events import columns as c
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.seams import RowDecoder
from streaming.models.signature import Column, Signature
from streaming.models.table import ModelTable
from streaming.settings import EventSettings

_DECODERS = 16
"""Signatures whose decoders a worker keeps; each has learnt which fields of the events nobody reads."""
_ALONE = EventSettings(id=None, time=None, key=None)

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class RoutedEvents:
    """Some events of a batch: which rows they are, and what a decoder read of each, features and verdict."""

    rows: Numbers
    features: pa.RecordBatch


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

    def parts(self) -> Iterator[tuple[RoutedEvents, int]]:
        """Yield the events of each model and its number."""
        for group in self.groups:
            numbers = self.numbers[group.rows]
            order = np.argsort(numbers, kind="stable")
            # One copy of the columns, of which each model's events then are a slice.
            features, rows = group.features.take(pa.array(order)), group.rows[order]
            models, starts = np.unique(numbers[order], return_index=True)
            bounds = [*starts.tolist(), len(order)]
            for number, (start, end) in zip(models.tolist(), pairwise(bounds), strict=True):
                yield RoutedEvents(rows[start:end], features.slice(start, end - start)), number


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
            return DecodedBatch(first, numbers, (RoutedEvents(np.arange(len(values)), first),))
        events = []
        for group in np.unique(groups).tolist():
            rows = np.flatnonzero(groups == group)
            at = pa.array(rows)
            features = first.take(at) if group == 0 else self._decoder(group).read(values.take(at))
            events.append(RoutedEvents(rows, features))
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
