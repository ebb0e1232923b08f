"""What ``penstock dlq`` is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from schemas.dead_letter import Reason
from streaming.clock import Period
from streaming.errors import ConfigurationError
from streaming.outputs.dead_letters import UNKNOWN, Place, Selection


class Form(Enum):
    """How one dead letter is shown."""

    PEOPLE = "people"
    JSON = "json"
    RAW = "raw"


@dataclass(frozen=True)
class Filters:
    """The command line's words for a selection."""

    reasons: Sequence[str]
    since: str | None
    until: str | None
    partitions: Sequence[int]
    places: Sequence[str] = ()

    def selection(self) -> Selection:
        """Return what they mean; raises ``ConfigurationError`` where they mean nothing."""
        codes = [*(reason.value for reason in Reason), UNKNOWN]
        wrong = [reason for reason in self.reasons if reason.upper() not in codes]
        if wrong:
            raise ConfigurationError(f"there is no reason {wrong[0]!r}; the reasons are {', '.join(codes)}")
        reasons = frozenset(reason.upper() for reason in self.reasons)
        period = Period.given(("--since", "--until"), self.since, self.until)
        return Selection(
            reasons, period.since, period.until, frozenset(self.partitions), frozenset(map(_place, self.places))
        )


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

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
        raise ConfigurationError(f"{text!r} is no place; write partition and offset like 0:17") from None
    return Place(partition, offset)
