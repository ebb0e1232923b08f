"""Output rows to the records that are sent: topic, partition, headers, and what to do when one is too large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from schemas import dead_letter, prediction
from streaming.offsets import Offsets
from streaming.outputs import headers as h
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Target, Targets

RECORD_OVERHEAD = 512
"""Bytes of batch and record framing that count against a topic's limit."""

_CLOCKS_MS = 10_000
"""A timestamp so close to its bound is not tried: the broker's clock may differ, and time passes on the way."""

Record = tuple[str, int, bytes | None, bytes | None, int, h.Headers, str]
"""Topic, partition, key, value, timestamp (ms), headers, and the reason, empty for a prediction. A plain tuple: one is
made for every record, and a named one takes ten times as long."""


class RecordPlan(Protocol):
    """What a batch's records have in common, and where they go; :class:`streaming.delivery.write_order.WritePlan`."""

    @property
    def application(self) -> str:
        """The application that writes."""
        ...

    @property
    def stamps(self) -> Sequence[Stamp]:
        """What the predictions of each arm have in common; with one arm there is one stamp, and no column of arms."""
        ...

    @property
    def by_model(self) -> bool:
        """True if the stamps are those of many models."""
        ...

    @property
    def lettered(self) -> Offsets:
        """The input offsets of events that already have a dead letter."""
        ...

    @property
    def targets(self) -> Targets:
        """The output topics."""
        ...


def records(batch: pa.RecordBatch, mark: int, plan: RecordPlan, partition: int, now_ms: int) -> Iterator[Record]:
    """Yield the records of the rows at or above ``mark``, in offset order.

    A record whose timestamp its topic does not take has ``now_ms`` instead, and its own timestamp in a header. What is
    a dead letter already gets no second one.
    """
    lettered = plan.lettered.get(partition, frozenset())
    rows = zip(*(_cells(batch.column(name)) for name in _COLUMNS), strict=True)

    def maker_of(arm: int) -> _Maker:
        return _Maker(plan, arm, partition, now_ms)

    makers = _of_arms(maker_of, batch) if len(plan.stamps) > 1 else repeat(maker_of(0))
    of_rows = zip(rows, _stream_times(batch), makers, _lookups(batch), strict=False)
    for row, stream_time, maker, looked_up in of_rows:
        if row[0] < mark:
            continue
        if row[4] is None:
            yield maker.predicted(row, looked_up)
        elif row[0] not in lettered:
            yield maker.rejected(row, stream_time)


def _of_arms(make: Callable[[int], _Maker], batch: pa.RecordBatch) -> Iterable[_Maker]:
    """Return the maker of each row's arm; of many models, a batch may touch few."""
    arms = batch.column("arm").to_pylist()
    makers = {arm: make(arm) for arm in set(arms)}
    return map(makers.__getitem__, arms)


def _lookups(batch: pa.RecordBatch) -> Iterable[h.Headers]:
    """Return each row's headers of its lookup; endless empty ones where nothing was looked up."""
    if "lookup" not in batch.schema.names:
        return repeat([])
    return map(h.of_lookup, _cells(batch.column("lookup")), _cells(batch.column("lookup_age")))


def _cells(column: pa.Array) -> list[Any]:
    """Return a column's values; about half of the columns are null in nearly every batch."""
    size = len(column)
    return [None] * size if column.null_count == size else column.to_pylist()


def _stream_times(batch: pa.RecordBatch) -> Iterable[str | None]:
    """Return for each row the time of the scored row before it, else after it; endless None if none is rejected."""
    scored = batch.column("reason").is_null()
    if scored.true_count == len(scored):
        return repeat(None)
    times = pc.if_else(scored, batch.column("event_time"), pa.scalar(None, pa.string()))
    beside: list[str | None] = pc.fill_null_backward(pc.fill_null_forward(times)).to_pylist()
    return beside


_COLUMNS = (
    "offset",
    "key",
    "value",
    "timestamp",
    "reason",
    "field",
    "event_time",
    "subject",
    "traceparent",
    "tracestate",
    "headers",
    "bins",
)


def _taken(target: Target, now_ms: int) -> tuple[int, int]:
    """Return the first and the last timestamp that a topic takes now."""
    return now_ms - target.behind_ms + _CLOCKS_MS, now_ms + target.ahead_ms - _CLOCKS_MS


class _Maker:
    """Makes the records of one arm."""

    def __init__(self, plan: RecordPlan, arm: int, partition: int, now_ms: int) -> None:
        stamp = plan.stamps[arm]
        self._plan = plan
        self._stamp = stamp
        self._partition = partition
        self._id_prefix = f"{stamp.id_prefix}{partition}:"
        # As bytes, made once: the client would encode a text for every record.
        self._constant = h.encoded(h.constant(stamp, partition, plan.application))
        degraded = h.encoded(h.degraded(stamp))
        self._of_batch = [*h.encoded(h.of_rollout(stamp)), *degraded]
        self._rejected_of_batch = [*h.encoded(h.rejected_of_rollout(stamp)), *degraded]
        corrected = stamp.corrected_prefix
        self._corrected_prefix = None if corrected is None else f"{corrected}{partition}:"
        self._naming: h.Headers = [(dead_letter.MODEL_NAME, stamp.version.name)] if plan.by_model and arm else []
        targets = plan.targets
        self._to = targets.predictions.topic, partition % targets.predictions.partitions
        self._dead = targets.dead_letters.topic, partition % targets.dead_letters.partitions
        self._now = now_ms
        self._first, self._last = _taken(targets.predictions, now_ms)
        self._first_dead, self._last_dead = _taken(targets.dead_letters, now_ms)

    def predicted(self, row: tuple[Any, ...], looked_up: h.Headers) -> Record:
        offset, key, value, timestamp, _, _, event_time, subject, traceparent, tracestate, _, bins = row
        headers = self._constant + h.varying(f"{self._id_prefix}{offset}", offset, event_time, subject)
        if traceparent is not None:
            headers.append((prediction.TRACEPARENT, traceparent))
            if tracestate is not None:
                headers.append((prediction.TRACESTATE, tracestate))
        if not self._first <= timestamp <= self._last:
            headers.append((prediction.ORIGINAL_TIMESTAMP, str(timestamp)))
            timestamp = self._now
        headers += self._of_batch
        if self._corrected_prefix is not None:
            headers.append((prediction.CORRECTS, f"{self._corrected_prefix}{offset}"))
        headers += looked_up
        # Last, where the drift query looks first.
        if bins is not None:
            headers.append((prediction.BINS, bins))
        topic, partition = self._to
        return topic, partition, key, value, timestamp, headers, ""

    def rejected(self, row: tuple[Any, ...], stream_time: str | None) -> Record:
        offset, key, value, timestamp, reason, field, event_time, *_, original, _ = row
        rejection = dead_letter.Rejection(reason, field)
        position = (self._stamp.source_topic, self._partition, offset)
        own = [(header["key"], header["value"]) for header in original or ()]
        made = h.rejected(own, rejection, position, self._plan.application, self._stamp)
        made += [*h.times(event_time, stream_time), *self._rejected_of_batch, *self._naming]
        made = h.hinted(made, rejection, value)
        if self._corrected_prefix is not None:
            made.append((dead_letter.CORRECTS, f"{self._corrected_prefix}{offset}"))
        if not self._first_dead <= timestamp <= self._last_dead:
            made.append((dead_letter.ORIGINAL_TIMESTAMP, str(timestamp)))
            timestamp = self._now
        limit = self._plan.targets.dead_letters.max_record_bytes - RECORD_OVERHEAD
        if len(value or b"") + len(key or b"") + _size(made) > limit:
            value = None
            made.append((dead_letter.VALUE_OMITTED, b"true"))
            if len(key or b"") + _size(made) > limit:
                made = made[len(own) :]
            if len(key or b"") + _size(made) > limit:
                key = None
        return (*self._dead, key, value, timestamp, made, reason)


def _size(headers: h.Headers) -> int:
    return sum(len(name) + len(word or "") for name, word in headers)
