"""Where a query starts, decided once, before it reads: from its checkpoint, from the committed marks, or anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streaming.delivery.marks import Mark, Writer, standing
from streaming.errors import MissingMarkError
from streaming.offsets import OffsetRange


@dataclass(frozen=True)
class Start:
    """``offsets`` per partition for a query without a checkpoint; ``new_marks`` are to be committed first."""

    offsets: Mapping[int, int]
    new_marks: Mapping[int, Mark]
    reason: str


def decide_start(
    writer: Writer,
    marks: Mapping[int, Mark | None],
    has_checkpoint: bool,
    first: Callable[[], Mapping[int, int]],
) -> Start:
    """Decide where to start.

    Args:
        writer: who will write.
        marks: the committed marks; a stranger's commit is ``None``, a partition without one is absent.
        has_checkpoint: whether Spark's checkpoint will decide the offsets itself.
        first: gives each partition's offset for a first run, by ``input.starting``.

    Raises:
        MissingMarkError: there is a checkpoint, or some marks, but a mark that should be there is not ours.
        TopicRecreatedError: the marks belong to an earlier topic of this name.
        FencedError: a younger driver has written.
    """
    for partition, mark in marks.items():
        standing(mark, OffsetRange(0, 0), writer, partition)
    if has_checkpoint and not marks:
        raise MissingMarkError(
            f"the checkpoint exists but group {writer.application} has no committed offsets for {writer.topic}: they"
            " expired (offsets.retention.minutes) or were deleted. Restore them, or start with a new application name."
        )
    starts = first()
    committed = {partition: mark.offset for partition, mark in marks.items() if mark is not None}
    added = {partition: Mark.at(offset, writer) for partition, offset in starts.items() if partition not in committed}
    reason = "checkpoint" if has_checkpoint else "committed marks" if committed else "first run"
    # A checkpoint knows partitions added later by itself and marks them when it first reads them.
    return Start({**starts, **committed}, {} if has_checkpoint else added, reason)
