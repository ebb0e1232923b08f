"""A window's predictions, labels and slices read from their topics by time; it joins no group and commits nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.label import label_text
from streaming.adapters.kafka.label_records import read_labels
from streaming.adapters.kafka.recording import KafkaStretch, Span
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import instant, moment
from streaming.offsets import OffsetRange
from streaming.outputs.read_back import Stored, read_output
from streaming.quality.rounds import QualitySubject
from streaming.quality.tables import LABELS, PREDICTIONS, label_row, tables
from streaming.quality.windows import QualityWindow
from streaming.replay.recording import RecordedEvent

Row = dict[str, Any]


@dataclass(frozen=True)
class CohortTopics:
    """The names of the topics: of predictions, of labels, and of the events themselves, which have the slices."""

    predictions: str
    labels: str
    events: str


@dataclass(frozen=True)
class KafkaCohorts:
    """Implements :class:`streaming.quality.rounds.CohortSource`."""

    scan: KafkaScan
    topics: CohortTopics
    subject: QualitySubject

    def following(self, since: datetime) -> datetime | None:
        """See :class:`streaming.quality.rounds.CohortSource`."""
        stretch = KafkaStretch(self.scan, self.topics.predictions)
        # Kafka reads times below zero as something else.
        ranges = stretch.ranges(Span(since=max(since, moment(0))))
        times = [stretch.first(partition, part.start) for partition, part in ranges.items() if part.start < part.end]
        known_times = [time for time in times if time is not None]
        return moment(min(known_times) / 1000) if known_times else None

    def obstacle(self, window: QualityWindow) -> str | None:
        """See :class:`streaming.quality.rounds.CohortSource`."""
        for topic in (self.topics.predictions, self.topics.labels):
            for partition in range(self.scan.partitions(topic)):
                first, _ = self.scan.extent(topic, partition)
                # Only where records were deleted does the first offset lie above zero.
                if first > 0 and not self._reaches(topic, partition, first, window):
                    return (
                        f"records of it may have been deleted from {topic}, whose retention has to be longer than a"
                        " window and the horizon together"
                    )
        return None

    def _reaches(self, topic: str, partition: int, first: int, window: QualityWindow) -> bool:
        """Return whether the oldest record of a partition is older than any that the window may have."""
        oldest = KafkaStretch(self.scan, topic).first(partition, first)
        return oldest is not None and moment(oldest / 1000) <= window.start - self.subject.lateness

    def predictions(self, window: QualityWindow) -> pa.Table:
        """See :class:`streaming.quality.rounds.CohortSource`."""
        span = self._around(window.start, window.end)
        rows = (
            row
            for partition, record in self._records(self.topics.predictions, span)
            if (row := self._prediction(partition, record)) is not None
            and window.start <= row["event_time"] < window.end
        )
        table = pa.concat_tables([PREDICTIONS.empty_table(), *tables(rows, PREDICTIONS)]).unify_dictionaries()
        return table if self.subject.rules.slice_column is None else self._with_slices(table)

    def labels(self, window: QualityWindow, until: datetime) -> Iterator[pa.Table]:
        """See :class:`streaming.quality.rounds.CohortSource`."""
        span = self._around(window.start, until)
        rows = read_labels(self.topics.labels, self._records(self.topics.labels, span), _label)
        return tables(rows, LABELS)

    def _around(self, since: datetime, until: datetime) -> Span:
        return Span(max(since - self.subject.lateness, moment(0)), until + self.subject.lateness)

    def _records(self, topic: str, span: Span) -> Iterator[tuple[int, RecordedEvent]]:
        stretch = KafkaStretch(self.scan, topic)
        for partition, part in stretch.ranges(span).items():
            for record in _existing(stretch, partition, part):
                yield partition, record

    def _prediction(self, partition: int, record: RecordedEvent) -> Row | None:
        headers = record.headers or ()
        stored = Stored(self.topics.predictions, partition, record.offset, headers, record.value)
        return prediction_row(stored, record.key, (self.subject.application, self.subject.model))

    def _with_slices(self, predictions: pa.Table) -> pa.Table:
        """Look up each prediction's event on the input topic, and in it the slice's value."""
        partitions, offsets = (predictions[name].to_numpy() for name in ("partition", "offset"))
        texts: list[str | None] = [None] * len(offsets)
        stretch = KafkaStretch(self.scan, self.topics.events)
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            # Several roles may have scored an event, so an offset can have several rows.
            wanted_rows: dict[int, list[int]] = {}
            for row in rows.tolist():
                wanted_rows.setdefault(int(offsets[row]), []).append(row)
            part = OffsetRange(min(wanted_rows), max(wanted_rows) + 1)
            for record in stretch.records(partition, part):
                for row in wanted_rows.get(record.offset, ()):
                    texts[row] = _slice(record.value, self.subject.rules.slice_column or "")
        column = PREDICTIONS.get_field_index("slice")
        return predictions.set_column(column, "slice", pa.array(texts, pa.string()))


def prediction_row(stored: Stored, key: bytes | None, whose: tuple[str, str]) -> Row | None:
    """Return a prediction as a row of :data:`streaming.quality.tables.PREDICTIONS`; ``None`` for anything else.

    Args:
        stored: a record of the predictions' topic.
        key: its key.
        whose: application and model; what is of others is none of ours.
    """
    output = read_output(stored)
    if output is None or output.kind != "prediction" or (output.application, output.model) != whose:
        return None
    fields = json.loads(stored.value or b"{}")
    names = ("prediction_id", "event_id", "prediction", "label", "probability", "role")
    _, source_partition, source_offset = output.source
    return {
        **{name: fields.get(name) for name in names},
        "key": key,
        "event_time": instant(fields["event_time"]),
        "version": output.version,
        "partition": source_partition,
        "offset": source_offset,
    }


def _existing(stretch: KafkaStretch, partition: int, part: OffsetRange) -> Iterable[RecordedEvent]:
    return stretch.records(partition, part) if part.start < part.end else ()


def _label(record: RecordedEvent) -> Row | None:
    return label_row(record.value, record.key, record.timestamp, record.offset)


def _slice(value: bytes | None, name: str) -> str | None:
    try:
        fields = json.loads(value or b"")
        return None if fields.get(name) is None else label_text(fields[name])
    except (AttributeError, TypeError, ValueError, RecursionError):
        return None
