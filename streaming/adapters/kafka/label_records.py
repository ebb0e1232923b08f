"""The labels among the records of their topic; what else is there is not passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog

from streaming.replay.recording import RecordedEvent

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def read_labels(
    topic: str,
    records: Iterable[tuple[int, RecordedEvent]],
    row_of: Callable[[RecordedEvent], dict[str, Any] | None],
) -> Iterator[dict[str, Any]]:
    """Yield each label as a row; log how many other records have a value, and where the first one is.

    Whoever writes labels in another form would else wonder why no prediction has one.

    Args:
        topic: the topic's name.
        records: its records, each with its partition.
        row_of: reads a label's record, and returns ``None`` for another one.
    """
    others, first = 0, ""
    for partition, record in records:
        row = row_of(record)
        if row is not None:
            yield row
        # A record without a value deletes one on a compacted topic, and is no mistake.
        elif record.value is not None:
            others += 1
            first = first or f"partition {partition}, offset {record.offset}"
    if others:
        _log.warning("records are no labels (docs/quality.md)", topic=topic, records=others, first=first)
