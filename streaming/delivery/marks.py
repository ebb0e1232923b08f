"""The mark: how far a partition's output is committed, as the consumer group's offset with our words in its metadata.

It is written in the same Kafka transaction as the output, so it is true whatever dies. Reading it decides what a task
may write. The metadata is ours because Kafka lets a stranger commit to the same group; without it the mark proves
nothing. Kafka keeps at most 4,096 bytes of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from streaming.errors import (
    DataError,
    FencedError,
    InvariantError,
    LookupUnavailableError,
    MissingMarkError,
    OffsetGapError,
    PenstockError,
    TopicRecreatedError,
)
from streaming.offsets import OffsetRange


@dataclass(frozen=True)
class Writer:
    """The writer of marks: an application on one incarnation of a topic, under one epoch of the lease."""

    application: str
    topic: str
    topic_id: str
    epoch: int


@dataclass(frozen=True)
class Mark:
    """A committed offset: everything below it has its output.

    ``plan`` names the ledger's plan that wrote last, from the offset ``since`` on; a first mark has neither.
    """

    offset: int
    application: str
    topic_id: str
    epoch: int
    plan: str = ""
    since: int = -1

    @classmethod
    def at(cls, offset: int, writer: Writer, plan: str = "", since: int = -1) -> Mark:
        """Make the mark that ``writer`` leaves at ``offset``."""
        return cls(offset, writer.application, writer.topic_id, writer.epoch, plan, since)

    @property
    def metadata(self) -> str:
        """The text that is committed with the offset."""
        owner = {"penstock": 1, "app": self.application, "topic": self.topic_id, "epoch": self.epoch}
        fields = {**owner, "plan": self.plan, "since": self.since}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def read(cls, offset: int, metadata: str | None) -> Mark | None:
        """Read a committed offset back; ``None`` where the metadata is not ours.

        >>> mark = Mark(7, "flights", "id", 3, "3.1")
        >>> Mark.read(7, mark.metadata) == mark, Mark.read(7, "") is None
        (True, True)
        """
        try:
            fields = json.loads(metadata or "")
            if fields["penstock"] != 1:
                return None
            owner = str(fields["app"]), str(fields["topic"]), int(fields["epoch"])
            return cls(offset, *owner, str(fields["plan"]), int(fields["since"]))
        except (ValueError, KeyError, TypeError):
            return None


class Standing(str, Enum):
    """What a mark says of a range."""

    TO_WRITE = "to_write"
    ALREADY_WRITTEN = "already_written"


def standing(mark: Mark | None, part: OffsetRange, writer: Writer, partition: int) -> Standing:
    """Decide whether ``writer`` still has to write ``part``; what lies below the mark is to be skipped either way.

    Raises:
        MissingMarkError: there is no mark of ours.
        TopicRecreatedError: the mark belongs to an earlier topic of this name.
        FencedError: a younger driver has written.
        OffsetGapError: offsets between the mark and the range would be lost.
    """
    where = f"partition {partition} of {writer.topic}, group {writer.application}"
    if mark is None or mark.application != writer.application:
        raise MissingMarkError(
            f"no committed mark of this application for {where}. The group's offsets expired, were deleted, or another"
            " consumer uses the group. Keep others out of it and delete its offsets for the topic; the next start then"
            " restores the marks from the progress topic."
        )
    if mark.topic_id != writer.topic_id:
        raise TopicRecreatedError(
            f"the mark for {where} belongs to an earlier topic of the same name (id {mark.topic_id}, now"
            f" {writer.topic_id}), which was scored up to {mark.offset}. To score the new topic from its first record,"
            " start with --on-gap skip; the ledger then says so."
        )
    if mark.epoch > writer.epoch:
        raise FencedError(f"{where}: the driver of lease epoch {mark.epoch} has taken over from {writer.epoch}")
    if mark.offset < part.start:
        raise OffsetGapError(
            f"{where}: committed up to {mark.offset}, but the batch starts at {part.start};"
            f" offsets {mark.offset} to {part.start - 1} would never be scored. Nothing was written."
        )
    return Standing.ALREADY_WRITTEN if mark.offset >= part.end else Standing.TO_WRITE


_BY_NAME: dict[str, type[PenstockError]] = {
    kind.__name__: kind
    for kind in (
        DataError,
        FencedError,
        InvariantError,
        LookupUnavailableError,
        MissingMarkError,
        OffsetGapError,
        TopicRecreatedError,
    )
}


def error_named(name: str, message: str) -> PenstockError:
    """Make the error again that a task reported by name, on the driver."""
    return _BY_NAME.get(name, DataError)(message)
