"""Output rows to the records that are sent: topic, partition, headers, and what to do when one is too large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from schemas import dead_letter, prediction
from streaming.delivery import headers as h
from streaming.delivery.plan import WritePlan

RECORD_OVERHEAD = 512
"""Bytes of batch and record framing that count against a topic's limit."""


Record = tuple[str, int, bytes | None, bytes | None, int, h.Headers, str]
"""Topic, partition, key, value, timestamp (ms), headers, and the reason, empty for a prediction. A plain tuple: one is
made for every record, and a named one takes ten times as long."""


def records(batch: pa.RecordBatch, mark: int, plan: WritePlan, partition: int) -> Iterator[Record]:
    """Yield the records of the rows at or above ``mark``, in offset order."""
    maker = _Maker(plan, partition)
    for row in zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True):
        if row[0] >= mark:
            yield maker.predicted(row) if row[4] is None else maker.rejected(row, row[4])


_COLUMNS = (
    "offset",
    "key",
    "value",
    "timestamp",
    "verdict",
    "event_time",
    "subject",
    "traceparent",
    "tracestate",
    "headers",
    "bins",
)


class _Maker:
    def __init__(self, plan: WritePlan, partition: int) -> None:
        self._plan = plan
        self._partition = partition
        self._id_prefix = f"{plan.stamp.id_prefix}{partition}:"
        self._constant = h.constant(plan.stamp, partition, plan.writer.application)
        targets = plan.targets
        self._to = targets.predictions.topic, partition % targets.predictions.partitions
        self._dead = targets.dead_letters.topic, partition % targets.dead_letters.partitions

    def predicted(self, row: tuple[Any, ...]) -> Record:
        offset, key, value, timestamp, _, event_time, subject, traceparent, tracestate, _, bins = row
        headers = self._constant + h.varying(f"{self._id_prefix}{offset}", offset, event_time, subject)
        if traceparent is not None:
            headers.append((prediction.TRACEPARENT, traceparent))
            if tracestate is not None:
                headers.append((prediction.TRACESTATE, tracestate))
        if bins is not None:
            headers.append((prediction.BINS, bins))
        topic, partition = self._to
        return topic, partition, key, value, timestamp, headers, ""

    def rejected(self, row: tuple[Any, ...], verdict: str) -> Record:
        offset, key, value, timestamp, *_, original, _ = row
        position = (self._plan.stamp.source_topic, self._partition, offset)
        kept = [(header["key"], header["value"]) for header in original or ()]
        made = h.rejected(kept, verdict, position, self._plan.writer.application, self._plan.stamp)
        made = h.hinted(made, verdict, value)
        size = len(value or b"") + len(key or b"") + _size(made)
        limit = self._plan.targets.dead_letters.max_record_bytes - RECORD_OVERHEAD
        if size > limit:
            value = None
            made.append((dead_letter.VALUE_OMITTED, b"true"))
        return (*self._dead, key, value, timestamp, made, verdict.partition(":")[0])


def _size(headers: h.Headers) -> int:
    return sum(len(name) + len(word or "") for name, word in headers)
