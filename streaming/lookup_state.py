"""Which records of the lookup table a batch reads: decided once, in the ledger, and the same for every try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LookupState:
    """The table as it is below an offset of each of its partitions.

    Attributes:
        topic_id: of the table's topic; another one means that the topic was made anew.
        ends: the offset of each partition, in order, below which records count.
        at_ms: the time from which ages are counted, in milliseconds since 1970: when the batch was planned.
        outage: why nothing can be looked up, in words; empty where the table can be read.
    """

    topic_id: str
    ends: tuple[int, ...]
    at_ms: int
    outage: str = ""

    @classmethod
    def unavailable(cls, why: str, at_ms: int) -> LookupState:
        """Return the state in which every lookup is unavailable."""
        return cls("", (), at_ms, why)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plan's record has it."""
        fields = {"topic_id": self.topic_id, "ends": list(self.ends), "at_ms": self.at_ms}
        return {**fields, "outage": self.outage} if self.outage else fields

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LookupState:
        """Read it back."""
        return cls(record["topic_id"], tuple(record["ends"]), record["at_ms"], record.get("outage", ""))
