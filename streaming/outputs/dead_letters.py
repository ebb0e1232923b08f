"""A dead letter as it is read back, the event's own headers told from the added ones; and which ones are asked for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import NamedTuple

from schemas import dead_letter as contract
from streaming.clock import instant

Headers = tuple[tuple[str, bytes | None], ...]
UNKNOWN = "UNKNOWN"
"""The reason of a record that names none, because something else than Penstock wrote it."""


class Place(NamedTuple):
    """A partition and an offset in it.

    >>> str(Place(0, 17))
    '0:17'
    """

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return ``partition:offset``, as the command line writes it."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True)
class DeadLetter:
    """One record of the dead letters' topic. ``timestamp`` is the event's own, in milliseconds."""

    place: Place
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @cached_property
    def own(self) -> Headers:
        """The event's headers as they arrived."""
        return self.headers[: self._added_from]

    @cached_property
    def added(self) -> dict[str, str]:
        """What was added, by name. Bytes that are no UTF-8, which are none of ours, are replaced."""
        return {name: (word or b"").decode("utf-8", "replace") for name, word in self.headers[self._added_from :]}

    @property
    def reason(self) -> str:
        """The reason code."""
        return self.added.get(contract.REASON) or UNKNOWN

    @property
    def message(self) -> str:
        """The sentence for people; empty if there is none."""
        return self.added.get(contract.ERROR_MESSAGE, "")

    @property
    def source_topic(self) -> str | None:
        """The topic that the event came from; ``None`` where that is not said."""
        return self.added.get(contract.ERROR_TOPIC) or None

    @property
    def source(self) -> Place | None:
        """The event's position on that topic; ``None`` if the letter does not name it."""
        try:
            return Place(int(self.added[contract.ERROR_PARTITION]), int(self.added[contract.ERROR_OFFSET]))
        except (KeyError, ValueError):
            return None

    @property
    def rejected_at(self) -> datetime:
        """The time at which it became a dead letter; the record's timestamp if the letter does not tell."""
        try:
            return instant(self.added[contract.REJECTED_AT])
        except (KeyError, ValueError):
            return datetime.fromtimestamp(max(self.timestamp, 0) / 1000, timezone.utc)

    @property
    def value_omitted(self) -> bool:
        """True if the value was too large for the dead letters' topic."""
        return contract.VALUE_OMITTED in self.added

    @property
    def replays(self) -> int:
        """The number of times that the event was sent again."""
        counts = [word for name, word in self.own if name == contract.REPLAYS]
        return int(counts[-1]) if counts and counts[-1] and counts[-1].isdigit() else 0

    @property
    def _added_from(self) -> int:
        names = [name for name, _ in self.headers]
        return len(names) - 1 - names[::-1].index(contract.ERROR_TOPIC) if contract.ERROR_TOPIC in names else len(names)


@dataclass(frozen=True)
class Selection:
    """A choice of dead letters. An empty field, or ``None``, does not restrict it. ``until`` is not included."""

    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    partitions: frozenset[int] = frozenset()
    places: frozenset[Place] = frozenset()

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether ``letter`` is selected."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.rejected_at >= self.since)
            and (self.until is None or letter.rejected_at < self.until)
            and (not self.partitions or letter.place.partition in self.partitions)
            and (not self.places or letter.place in self.places)
        )

    def offsets(self, partition: int) -> range:
        """Return the offsets of a partition that need to be read, whether or not it has them."""
        if self.partitions and partition not in self.partitions:
            return range(0)
        if not self.places:
            return range(sys.maxsize)
        offsets = [place.offset for place in self.places if place.partition == partition]
        return range(min(offsets), max(offsets) + 1) if offsets else range(0)
