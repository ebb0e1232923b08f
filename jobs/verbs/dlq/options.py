"""The options of ``penstock dlq``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.dead_letter import Reason
from streaming.clock import Period
from streaming.errors import ConfigurationError
from streaming.outputs.dead_letters import UNKNOWN, Place, Selection


@dataclass(frozen=True)
class SelectionOptions:
    """Which dead letters the command line selects."""

    reasons: Sequence[str]
    since: str | None
    until: str | None
    partitions: Sequence[int]
    places: Sequence[str] = ()

    def selection(self) -> Selection:
        """Return the selection; raises ``ConfigurationError`` for an unknown reason, time or position."""
        codes = [*(reason.value for reason in Reason), UNKNOWN]
        unknown = [reason for reason in self.reasons if reason.upper() not in codes]
        if unknown:
            raise ConfigurationError(f"there is no reason {unknown[0]!r}; the reasons are {', '.join(codes)}")
        reasons = frozenset(reason.upper() for reason in self.reasons)
        period = Period.parsed(("--from", "--to"), self.since, self.until)
        return Selection(
            reasons=reasons,
            since=period.since,
            until=period.until,
            partitions=frozenset(self.partitions),
            places=frozenset(map(_place, self.places)),
        )


@dataclass(frozen=True)
class ResendOptions:
    """What ``dlq replay`` sends, and where to."""

    selection: Selection
    to: str | None
    limit: int | None
    max_replays: int
    again: bool
    send: bool


def _place(text: str) -> Place:
    try:
        partition, offset = map(int, text.split(":"))
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a position; write partition and offset like 0:17") from None
    return Place(partition, offset)
