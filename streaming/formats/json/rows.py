"""Strict JSON in one process: the rules of docs/events.md without Spark.

It is as strict as ``streaming/events/decode.py`` and written independently of it, so each is held against the other. It
judges one event at a time and is the reference for the verdicts and reasons of whatever decodes faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.formats.json.strict import NotJsonError, strict_json
from streaming.formats.json.values import Feature, FieldError, epoch_time, identity, iso_time
from streaming.models.arrow_types import arrow_type
from streaming.models.signature import Signature
from streaming.settings import EventSettings

_VERDICT = pa.struct([("reason", pa.string()), ("field", pa.string())])
_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Judgement:
    """Every problem of an event; if there is none, the values that were read."""

    problems: tuple[Rejection, ...]
    """All problems in the order of their precedence: the first one is the event's verdict."""
    values: dict[str, Any] = field(default_factory=dict)
    """Values by the name of the field. A field that both the envelope and the signature name has the column's value."""
    envelope: dict[str, Any] = field(default_factory=dict)
    """Values by the column's name in :mod:`streaming.events.columns`. A rejected event has those that could be read."""


@dataclass(frozen=True)
class JsonRowDecoder:
    """How one model version's events are read; a :class:`streaming.models.seams.RowDecoder`."""

    signature: Signature
    envelope: EventSettings
    max_value_bytes: int

    def read(self, values: pa.BinaryArray) -> pa.RecordBatch:
        """Read the values of records; see :meth:`streaming.models.seams.RowDecoder.read`."""
        rows = [self.row(self.judge(value)) for value in values.to_pylist()]
        return pa.RecordBatch.from_pylist(rows, schema=self.schema)

    def judge(self, value: bytes | None) -> Judgement:
        """Return what must become of an event with this value."""
        if value is None:
            return _only(Reason.TOMBSTONE)
        if len(value) > self.max_value_bytes:
            return _only(Reason.OVERSIZE)
        try:
            event = strict_json(value.decode("utf-8"))
        except UnicodeDecodeError:
            return _only(Reason.INVALID_UTF8)
        except NotJsonError:
            return _only(Reason.MALFORMED_JSON)
        if not isinstance(event, dict):
            return _only(Reason.NOT_AN_OBJECT)
        return self._fields(event)

    def row(self, judgement: Judgement) -> dict[str, Any]:
        """Return the columns that are not null."""
        if judgement.problems:
            return {c.VERDICT: judgement.problems[0]._asdict(), c.EVENT_TIME: judgement.envelope.get(c.EVENT_TIME)}
        return {**judgement.envelope, **{name: judgement.values[name] for name in self.signature.names}}

    def _fields(self, event: Mapping[str, Any]) -> Judgement:
        reasons: dict[str, Reason] = {}
        values: dict[str, Any] = {}
        envelope: dict[str, Any] = {}
        for column, name, read in self._readers:
            try:
                value = read(event.get(name))
            except FieldError as problem:
                reasons.setdefault(name, problem.reason)
                continue
            values[name] = value
            if column is not None:
                envelope[column] = value
        return Judgement(tuple(self._in_order(reasons)), {} if reasons else values, envelope)

    def _in_order(self, reasons: Mapping[str, Reason]) -> Iterator[Rejection]:
        """Yield the problems as the decoder in the JVM ranks them."""
        # There, a typed column of another type spoils the whole row: what is null in it may not have been missing.
        mistyped = [name for name in self._typed if reasons.get(name) is Reason.WRONG_TYPE]
        # In the order of the readers that refused them, as a name may be read for the envelope and for a column.
        others = [name for name in reasons if name not in mistyped]
        doubtful = [name for name in others if mistyped and self._is_doubtful(name, reasons[name])]
        for name in (*(name for name in others if name not in doubtful), *mistyped, *doubtful):
            yield Rejection(reasons[name].value, name)

    def _is_doubtful(self, name: str, reason: Reason) -> bool:
        """Return whether a row in which another column is of the wrong type cannot tell that this is a fault."""
        by_kind = {*self._identities} | ({self.envelope.time} if self.envelope.time_format == "iso8601" else set())
        return reason is Reason.BAD_EVENT_TIME or (reason is Reason.MISSING_FIELD and name not in by_kind)

    @cached_property
    def _identities(self) -> tuple[str, ...]:
        return tuple(name for name in (self.envelope.id, self.envelope.key) if name)

    @cached_property
    def _readers(self) -> list[tuple[str | None, str, Callable[[Any], Any]]]:
        """Every field with the envelope's column that it fills and what reads it; the envelope first."""
        read_time = iso_time if self.envelope.time_format == "iso8601" else epoch_time
        envelope = ((c.EVENT_ID, self.envelope.id, identity), (c.SUBJECT, self.envelope.key, identity))
        readers: list[tuple[str | None, str, Callable[[Any], Any]]] = [
            (column, name, read)
            for column, name, read in (*envelope, (c.EVENT_TIME, self.envelope.time, read_time))
            if name
        ]
        return readers + [(None, column.name, Feature(column)) for column in self.signature.columns]

    @cached_property
    def _typed(self) -> list[str]:
        typed = [column.name for column in self.signature.columns if column.type != "string"]
        if self.envelope.time and self.envelope.time_format == "epoch_ms":
            typed.append(self.envelope.time)
        return typed

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of what is read."""
        envelope = [(c.EVENT_ID, pa.string()), (c.EVENT_TIME, _MOMENT), (c.SUBJECT, pa.string()), (c.VERDICT, _VERDICT)]
        return pa.schema(envelope + [(column.name, arrow_type(column)) for column in self.signature.columns])


def _only(reason: Reason) -> Judgement:
    return Judgement((Rejection(reason.value),))
