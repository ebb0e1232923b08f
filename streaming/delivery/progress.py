"""The progress topic: every mark once more, as the newest record of its key, for when Kafka has forgotten the group's.

A group's offsets expire some days after they were committed, or are deleted by hand. The record is written in the
mark's own transaction, so the two never disagree; compaction keeps the newest of each partition.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from streaming.delivery.marks import Mark

KeyAndValue = tuple[bytes | None, bytes | None]


def progress_record(mark: Mark, topic: str, partition: int) -> tuple[bytes, bytes]:
    """Return key and value of the record that goes with ``mark`` of an input partition."""
    value = {"offset": mark.offset, "metadata": mark.metadata}
    return f"{mark.application}/{topic}/{partition}".encode(), json.dumps(value, separators=(",", ":")).encode()


def newest_marks(records: Iterable[KeyAndValue], application: str, topic: str) -> dict[int, Mark]:
    """Return each partition's newest mark among the records of many applications.

    The lease's epoch, then the offset, say what is newer: the order of the log does not, once partitions were added to
    the progress topic.

    >>> mark = Mark(7, "app", "id", 1)
    >>> newest_marks([progress_record(mark, "features", 3)], "app", "features") == {3: mark}
    True
    """
    prefix = f"{application}/{topic}/"
    marks: dict[int, Mark] = {}
    for key, value in records:
        name = (key or b"").decode()
        if value is None or not name.startswith(prefix):
            continue
        fields = json.loads(value)
        mark, partition = Mark.read(fields["offset"], fields["metadata"]), int(name.removeprefix(prefix))
        before = marks.get(partition)
        if mark is not None and (before is None or (before.epoch, before.offset) <= (mark.epoch, mark.offset)):
            marks[partition] = mark
    return marks
