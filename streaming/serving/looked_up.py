"""What events of requests are given from a lookup table, and what their answers say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from schemas import prediction
from streaming.errors import LookupUnavailableError
from streaming.events import columns as c
from streaming.lookup_state import LookupState
from streaming.models.seams import Features
from streaming.models.served import ServedModel
from streaming.models.signature import Signature
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.problems import ProblemError


class ServedTable(Protocol):
    """A table that is followed beside the requests; :class:`streaming.lookup.followed.TableFollower` follows one."""

    def state(self, now: datetime, /) -> LookupState:
        """Return what a pass reads; raises ``LookupUnavailableError`` where nothing may be answered."""
        ...

    def counts(self) -> Mapping[str, float]:
        """Return what was counted since the last call: keys in memory, and keys that were not."""
        ...

    def problem(self) -> str:
        """Return why no requests should come; empty where they should."""
        ...

    def standing(self) -> dict[str, Any]:
        """Return what ``/health`` says of it."""
        ...


class LookedUp(NamedTuple):
    """What an event was given.

    ``standing`` is a value of :class:`schemas.prediction.LookupStanding`, ``age`` the record's in milliseconds, and
    ``values`` are those of the looked-up columns by name.
    """

    standing: str
    age: int | None
    values: Mapping[str, Any]

    def headers(self) -> Mapping[str, str]:
        """Return the headers of a prediction's record, for its answer."""
        age = {} if self.age is None else {prediction.LOOKUP_AGE: str(self.age)}
        return {prediction.LOOKUP: self.standing, **age}


def columns_of(row_pass: JsonRowPass) -> tuple[str, ...]:
    """Return the columns of a version that are looked up; none without a lookup."""
    if row_pass.lookup is None:
        return ()
    signature = row_pass.package.signature
    own = row_pass.lookup.event_signature(signature).names
    return tuple(name for name in signature.names if name not in own)


def event_signature(model: ServedModel) -> Signature:
    """Return the columns that are read of events."""
    signature, row_pass = model.package.signature, model.row_pass
    if not isinstance(row_pass, JsonRowPass) or row_pass.lookup is None:
        return signature
    return row_pass.lookup.event_signature(signature)


def request_signature(model: ServedModel) -> Signature:
    """Return the columns that rows may have: the model's, and the key by which some of these are looked up."""
    signature, row_pass = model.package.signature, model.row_pass
    if not isinstance(row_pass, JsonRowPass) or row_pass.lookup is None:
        return signature
    read = row_pass.lookup.of_rows().event_signature(signature).columns
    return Signature((*signature.columns, *(column for column in read if column.name not in signature.names)))


def of_event(event: Features, columns: tuple[str, ...]) -> LookedUp | None:
    """Return what one event was given; ``None`` where nothing was looked up."""
    if not columns:
        return None
    return LookedUp(event[c.LOOKUP], event[c.LOOKUP_AGE], {name: event[name] for name in columns})


def of_rows(rows: pa.RecordBatch, columns: tuple[str, ...]) -> Iterator[LookedUp | None]:
    """Yield what each scored row was given; ``None`` where nothing was looked up, or it was rejected before."""
    if c.LOOKUP not in rows.schema.names:
        yield from [None] * rows.num_rows
        return
    values = rows.select(list(columns)).to_pylist()
    marks = zip(rows.column(c.LOOKUP).to_pylist(), rows.column(c.LOOKUP_AGE).to_pylist(), values, strict=True)
    yield from (None if standing is None else LookedUp(standing, age, cells) for standing, age, cells in marks)


def standings_of(events: Iterable[LookedUp | None]) -> Mapping[str, str]:
    """Return the header of an answer to several events: each standing among them, once."""
    standings = sorted({event.standing for event in events if event is not None})
    return {prediction.LOOKUP: ", ".join(standings)} if standings else {}


def no_table(problem: LookupUnavailableError) -> ProblemError:
    """Return the problem of requests whose columns cannot be looked up."""
    return ProblemError(503, "no-lookup", f"{problem}; try again later", headers={"Retry-After": "1"})
