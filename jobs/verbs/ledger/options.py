"""The options of ``penstock ledger``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from schemas.model_event import EventType
from streaming.errors import ConfigurationError
from streaming.ledger.plan import RECORD_TYPES


@dataclass(frozen=True)
class LedgerAtOptions:
    """What ``ledger at`` looks up: a position, an event or a time. The default ``topic`` is the input."""

    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    event_id: str | None = None
    time: str | None = None

    def check(self) -> None:
        """Raise ``ConfigurationError`` unless exactly one thing is looked up."""
        position = self.partition is not None and self.offset is not None
        if sum((position, self.event_id is not None, self.time is not None)) != 1:
            raise ConfigurationError(
                "say what to look up: --partition and --offset of an input record, or --event-id, or --time"
            )


@dataclass(frozen=True)
class LedgerShowOptions:
    """Which records ``ledger show`` shows; without ``types`` all of them, ``since`` is ISO 8601."""

    count: int
    types: Sequence[str] = ()
    since: str | None = None

    def check(self) -> None:
        """Raise ``ConfigurationError`` for a type that no record has."""
        types = [*RECORD_TYPES, *(kind.value for kind in EventType)]
        for type_ in self.types:
            if type_ not in types:
                close = get_close_matches(type_, types, n=1)
                hint = f"did you mean {close[0]}? The types" if close else "the types"
                raise ConfigurationError(f"--type {type_} is not in the ledger; {hint} are {', '.join(types)}")
