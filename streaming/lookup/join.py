"""Looked-up columns beside those of the events: by key, at a state, with the settings' rules for what is not there."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.dead_letter import Reason, Rejection
from schemas.prediction import LookupStanding
from streaming.events import columns as c
from streaming.events.arrow_verdicts import ArrowRule, with_verdicts
from streaming.lookup.entries import Entry
from streaming.lookup.table import LookupTable
from streaming.lookup.table_source import TableSource
from streaming.lookup.value_store import StoredTable, ValueStore
from streaming.lookup_state import LookupState
from streaming.models.arrow_types import arrow_type
from streaming.models.signature import Column, Signature
from streaming.pickling import PickledByFields
from streaming.settings import EventSettings, LookupSettings

_STANDINGS = tuple(LookupStanding)
_REASONS = {
    LookupStanding.STALE: Reason.STALE_LOOKUP,
    LookupStanding.MISSING: Reason.MISSING_LOOKUP,
    LookupStanding.INVALID: Reason.MISSING_LOOKUP,
    LookupStanding.UNAVAILABLE: Reason.LOOKUP_UNAVAILABLE,
}


EntriesAt = Callable[[Sequence[bytes], LookupState], Sequence[Entry | None]]
"""Distinct keys and a state to what the table has of each key; raises ``LookupUnavailableError``."""
_FLOAT = struct.Struct("<f")


class LookupAnswer(NamedTuple):
    """What one key gets: the position of its standing, the record's age in milliseconds, and the columns' values."""

    standing: int
    age: int | None
    values: tuple[Any, ...]


@dataclass(frozen=True)
class TableLookup(PickledByFields):
    """A :class:`streaming.models.seams.ColumnLookup` in a compacted topic or a store; it is pickled for the tasks.

    Attributes:
        settings: the table, its columns, and what events get that it does not have.
        envelope: the names of the events' fields.
        source: reads the topic, or asks the store; it may hold secrets.
        entries_at: reads the table where somebody else reads the topic; ``None`` where this process does.
    """

    settings: LookupSettings
    envelope: EventSettings
    source: TableSource | ValueStore = field(repr=False)
    entries_at: EntriesAt | None = field(default=None, repr=False)

    def event_signature(self, signature: Signature) -> Signature:
        """Return what is read of the events: all columns but the looked-up ones, and the key if nothing else has it."""
        own, key = signature.without(self.settings.columns), self.settings.key
        if key is None or key == self.envelope.key or key in own.names:
            return own
        return Signature((*own.columns, Column(key, "string", required=False)))

    def joined(
        self, events: pa.RecordBatch, record_keys: pa.BinaryArray, signature: Signature, at: LookupState
    ) -> pa.RecordBatch:
        """Append the columns; see :meth:`streaming.models.seams.ColumnLookup.joined`."""
        keys = self._keys(events, record_keys).dictionary_encode()
        # The last answer is that of events without a key.
        answers = [*self._answers([in_bytes(key) for key in keys.dictionary.to_pylist()], at), self.answer(None, at)]
        return self.beside(events, answers, keys.indices.fill_null(len(answers) - 1), signature)

    def single(self, event: Mapping[str, Any], signature: Signature, at: LookupState) -> Mapping[str, Any] | None:
        """Append the columns to one event; see :meth:`streaming.models.seams.ColumnLookup.single`."""
        key = event.get(self._key_column)
        if isinstance(key, float):
            # How Arrow spells it is Arrow's to say.
            return None
        (answer,) = [self.answer(None, at)] if key is None else self._answers([in_bytes(_text(key))], at)
        standing = _STANDINGS[answer.standing]
        if self._chosen[standing] == "dead_letter":
            return None
        columns: dict[str, Any] = {c.LOOKUP: standing.value, c.LOOKUP_AGE: answer.age}
        for position, column in self._columns(signature):
            value = answer.values[position]
            if value is None and column.required:
                return None
            columns[column.name] = value if value is None else _as_in_arrow(value, column)
        return {**event, **columns}

    def of_rows(self) -> TableLookup:
        """See :meth:`streaming.models.seams.ColumnLookup.of_rows`."""
        return replace(self, envelope=self.envelope.model_copy(update={"key": None}))

    def beside(
        self, events: pa.RecordBatch, answers: Sequence[LookupAnswer], of_row: pa.Array, signature: Signature
    ) -> pa.RecordBatch:
        """Append the columns of the answers, of which ``of_row`` has the number of each event's."""
        standings = pa.array([answer.standing for answer in answers], pa.int64()).take(of_row).to_numpy()
        is_valid = events.column(c.VERDICT).is_null()
        columns = dict(zip(events.schema.names, events.columns, strict=True))
        rules = self._rules(standings)
        for position, column in self._columns(signature):
            values = pa.array([answer.values[position] for answer in answers], arrow_type(column)).take(of_row)
            columns[column.name] = values
            if column.required and values.null_count:
                nulls = values.is_null().to_numpy(zero_copy_only=False)
                rules.append((nulls, Rejection(Reason.MISSING_LOOKUP.value, column.name)))
        columns[c.VERDICT] = with_verdicts(events.column(c.VERDICT), rules)
        names = pa.array([standing.value for standing in _STANDINGS])
        columns[c.LOOKUP] = names.take(pa.array(standings, mask=~is_valid.to_numpy(zero_copy_only=False)))
        columns[c.LOOKUP_AGE] = pa.array([answer.age for answer in answers], pa.int64()).take(of_row)
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def answer(self, entry: Entry | None, at: LookupState) -> LookupAnswer:
        """Return what a key with this entry gets at a state's time."""
        if entry is None:
            return self._marked(LookupStanding.UNAVAILABLE if at.outage else LookupStanding.MISSING, None)
        age = None if entry.timestamp is None else max(0, at.at_ms - entry.timestamp)
        if entry.values is None or age is None:
            return self._marked(LookupStanding.INVALID, age)
        to_live = self.settings.time_to_live_seconds
        if to_live is None or age <= to_live * 1_000:
            return self._marked(LookupStanding.FRESH, age, entry.values)
        values = entry.values if self.settings.stale == "mark" else self._defaults
        return self._marked(LookupStanding.STALE, age, values)

    def warm(self, at: LookupState, seconds: float) -> None:
        """Read the table on this machine up to a state, so that the first batch need not; a store needs none of it.

        Raises:
            LookupUnavailableError: that takes longer than ``seconds``, or the topic cannot be read.
        """
        _open(self.settings, at.topic_id, self.source).move_to(at, seconds)

    def counts(self) -> dict[str, float]:
        """Return what this process has counted since the last call."""
        counts: dict[str, float] = {}
        for table in _tables.values():
            for name, count in table.counts().items():
                counts[name] = counts.get(name, 0.0) + count
        return counts

    def _columns(self, signature: Signature) -> list[tuple[int, Column]]:
        """Return the looked-up columns of a signature, each with its position in the settings."""
        positions = self._positions
        return [(positions[column.name], column) for column in signature.columns if column.name in positions]

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {name: position for position, name in enumerate(self.settings.columns)}

    @cached_property
    def _chosen(self) -> Mapping[LookupStanding, str]:
        """What the settings have events get by what became of their lookup; fresh ones get the record's values."""
        return {
            LookupStanding.FRESH: "mark",
            LookupStanding.STALE: self.settings.stale,
            LookupStanding.MISSING: self.settings.missing,
            LookupStanding.INVALID: self.settings.missing,
            LookupStanding.UNAVAILABLE: self.settings.unavailable,
        }

    @cached_property
    def _defaults(self) -> tuple[Any, ...]:
        return tuple(column.default for column in self.settings.columns.values())

    @cached_property
    def _key_column(self) -> str:
        return c.SUBJECT if self.settings.key == self.envelope.key else f"{self.settings.key}"

    def _keys(self, events: pa.RecordBatch, record_keys: pa.BinaryArray) -> pa.Array:
        key = self.settings.key
        if key is None:
            return record_keys.cast(pa.binary())
        column = events.column(self._key_column)
        return column if pa.types.is_string(column.type) else column.cast(pa.string())

    def _answers(self, keys: Sequence[bytes], at: LookupState) -> list[LookupAnswer]:
        if at.outage:
            return [self.answer(None, at)] * len(keys)
        if self.entries_at is not None:
            return [self.answer(entry, at) for entry in self.entries_at(keys, at)]
        table = _open(self.settings, at.topic_id, self.source)
        table.move_to(at, self.settings.catch_up_seconds)
        return [self.answer(entry, at) for entry in table.entries(keys)]

    def _marked(self, standing: LookupStanding, age: int | None, values: tuple[Any, ...] | None = None) -> LookupAnswer:
        return LookupAnswer(_STANDINGS.index(standing), age, self._defaults if values is None else values)

    def _rules(self, standings: NDArray[np.int64]) -> list[ArrowRule]:
        """Return which rows are rejected by the settings."""
        return [
            (standings == _STANDINGS.index(standing), Rejection(_REASONS[standing].value, self.settings.key))
            for standing, choice in self._chosen.items()
            if choice == "dead_letter"
        ]


_tables: dict[tuple[str, str, str], LookupTable | StoredTable] = {}
"""The tables of this process, by what they hold."""


def _open(settings: LookupSettings, topic_id: str, source: TableSource | ValueStore) -> LookupTable | StoredTable:
    key = (settings.model_dump_json(), topic_id, str(settings.folder))
    if key not in _tables:
        # A topic that was made anew leaves its table behind.
        while _tables:
            _tables.popitem()[1].close()
        if isinstance(source, ValueStore):
            _tables[key] = StoredTable(settings, source)
        else:
            _tables[key] = LookupTable(settings, topic_id, source)
    return _tables[key]


def _text(key: Any) -> str:
    # Arrow writes a flag so.
    return str(key).lower() if isinstance(key, bool) else str(key)


def _as_in_arrow(value: Any, column: Column) -> Any:
    """Return what an Arrow column of the type makes of a value."""
    if column.type == "double":
        return float(value)
    if column.type == "float":
        rounded: float = _FLOAT.unpack(_FLOAT.pack(value))[0]
        return rounded
    return value


def in_bytes(key: str | bytes) -> bytes:
    """Return a key as the table's records have it."""
    return key.encode() if isinstance(key, str) else key
