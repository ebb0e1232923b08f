"""A record to send, an event as it was sent, and a result as it was read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from streaming.accounting.batch_arms import Answerer

Place = tuple[int, int]
"""A record's partition and offset."""
ANY_PARTITION = -1
Note = TypeVar("Note")


@dataclass(frozen=True)
class Outgoing(Generic[Note]):
    """A record to send. ``note`` is remembered under its place; ``timestamp_ms`` 0 is the time of sending."""

    value: bytes | None
    note: Note
    key: str | bytes | None = None
    partition: int = ANY_PARTITION
    timestamp_ms: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True)
class Sent:
    """An event as it was sent. ``number`` counts the events of its key; ``late`` is ``None`` for a broken one."""

    key: str
    number: int
    late: bool | None

    @property
    def id(self) -> str:
        """The event's id."""
        return f"{self.key}-{self.number}"


@dataclass(frozen=True)
class ReadResult:
    """A record that a subscriber read: a prediction with its JSON ``value``, or a dead letter with ``None``."""

    place: Place
    """Partition and offset of the event on the input topic."""
    at: Place
    """Partition and offset of the result on its own topic."""
    key: str
    by: Answerer
    value: Mapping[str, Any] | None
    reason: str = field(default="", compare=False)
    """Why it is a dead letter."""

    @property
    def version(self) -> int:
        """The version that answered."""
        return self.by.version
