"""Records of the labels' topic: those that are labels are read, and the others are not passed over in silence."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from schemas.label import read_label
from streaming.adapters.kafka.label_records import read_labels
from streaming.replay.recording import RecordedEvent

GOOD = RecordedEvent(4, 1_000, None, b'{"event_id": "a", "label": 1}')
TOMBSTONE = RecordedEvent(5, 1_000, b"a", None)
OTHERS = (RecordedEvent(6, 1_000, None, b"late"), RecordedEvent(7, 1_000, None, b'{"id": "a", "label": 1}'))


def row_of(record: RecordedEvent) -> dict[str, Any] | None:
    label = read_label(record.value)
    return None if label is None else {"label": label.label}


def test_records_that_are_no_labels_are_logged_with_their_number_and_the_first_ones_place() -> None:
    with capture_logs() as logs:
        rows = list(read_labels("outcomes", [(0, GOOD), (1, TOMBSTONE), *((1, other) for other in OTHERS)], row_of))
    assert [row["label"] for row in rows] == ["1"]
    assert [(log["topic"], log["records"], log["first"]) for log in logs] == [("outcomes", 2, "partition 1, offset 6")]


def test_labels_and_records_without_a_value_are_nothing_to_log() -> None:
    with capture_logs() as logs:
        assert len(list(read_labels("outcomes", [(0, GOOD), (1, TOMBSTONE)], row_of))) == 1
    assert logs == []
